def test_x(trained):
    pass
