"""What names of SMC files are believed to say."""

import pytest

from _smc import month_of


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("2010/SMC_201006.tif", "2010-06"),
        ("201005/china.tif", None),  # only the last part counts
        ("SM_2002-2018.zip", None),
        ("SMC_201006_2010-06.tif", "2010-06"),
        ("SMC_201006_201007.tif", None),
        ("20100615.tif", None),
    ],
)
def test_a_month_is_believed_where_it_is_clear(name, month):
    assert month_of(name) == month
