from mmgab.inspection.erf_images import batches


def test_an_image_whose_error_has_no_text_is_reported_with_its_type():
    def read():
        raise MemoryError

    refused = {}
    assert list(batches([('a.png', read)], 1, refused)) == []
    assert refused == {'a.png': 'unreadable: MemoryError'}
