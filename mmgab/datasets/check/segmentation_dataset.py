"""Define the interface of MMSegmentation datasets that the check uses."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mmengine.dataset import Compose


class SegmentationDataset(Protocol):
    """Protocol of MMSegmentation's ``BaseSegDataset``, which mmgab does not import.

    Attributes:
        metainfo: Contains ``classes``, in the order of their labels.
        pipeline: The built pipeline.
        ann_file: List of images; a folder, or empty, for all images of a folder.
        data_prefix: Folders of images and label maps.
        img_suffix: Suffix of image names.
        seg_map_suffix: Suffix of label map names.
        reduce_zero_label: Whether label 0 is ignored and label 1 is the first class.
        ignore_index: Label of ignored pixels.
        label_map: New label by old label, for a subset of the classes.
        serialize_data: Whether data infos are serialized, to be shared by processes.
        data_list: Data infos, after ``full_init``.
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
        """Return the paths of an image and its label map."""

    def __len__(self) -> int: ...
