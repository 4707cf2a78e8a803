from mmgab.inspection.erf_images import batches


def test_error_without_text_is_reported_by_its_type():
    def read():
        raise MemoryError

    refused = {}
    assert list(batches([('a.png', read)], 1, refused)) == []
    assert refused == {'a.png': 'unreadable: MemoryError'}
