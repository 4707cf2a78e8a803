"""Data sets in MMSegmentation's layout, by what a check asks of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mmengine.dataset import Compose


class SegmentationDataset(Protocol):
    """MMSegmentation's ``BaseSegDataset``, which this library does not import.

    Attributes:
        metainfo: With ``classes``, in the order of their labels.
        pipeline: Built.
        ann_file: List of the images; a folder, or empty, where all of a folder are meant.
        data_prefix: Folders of images and label maps.
        img_suffix: End of an image's name.
        seg_map_suffix: End of a label map's name.
        reduce_zero_label: Whether 0 in a file stands for no label and 1 for the first class.
        ignore_index: Label of pixels without one.
        label_map: For a subset of the classes: new label of an old one.
        serialize_data: Whether infos are kept as bytes, to be shared by processes.
        data_list: Of each image, once they are listed.
    """

    metainfo: Mapping
    pipeline: Compose
    ann_file: str
    data_prefix: Mapping[str, str]
    img_suffix: str
    seg_map_suffix: str
    reduce_zero_label: bool | None
    ignore_index: int
    label_map: Mapping[int, int] | None
    serialize_data: bool
    data_list: Sequence[Mapping]
    _indices: int | Sequence[int] | None
    _fully_initialized: bool

    def full_init(self) -> None:
        """List the files."""

    def get_data_info(self, index: int) -> dict:
        """Paths of an image and its label map."""

    def __len__(self) -> int: ...
