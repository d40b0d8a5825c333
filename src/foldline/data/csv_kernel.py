"""Cells of CSV rows as they nearly always are: one pass over the bytes parses them, and sees where anything else comes.

    number  -?[0-9]+(\\.[0-9]+)?(e[-+]?[0-9]+)?, or nothing    the float64 nearest to it; NaN: missing
    whole   0 or -?[1-9][0-9]{0,17}                           int64
    text    up to 12 visible letters of ASCII but quotes      a string view of Arrow's: length, then letters

Compiled by core/native.py. Where anything else comes, also a row of another length, `rows` stops: csv_tables.py then
reads that block by polars, with all its checks. Decimals are rounded by the algorithm of Eisel and Lemire (D. Lemire:
Number Parsing at a Gigabyte per Second, https://arxiv.org/abs/2101.11408).
"""

from __future__ import annotations

from foldline.core.native_words import Bytes, Ints, below, bits, eight, high, leading_zeros, trailing_zeros

SKIPPED, NUMBER, WHOLE, TEXT = 0, 1, 2, 3  # kinds of a column
COMMA, LINE_END, RETURN, QUOTE, POINT, MINUS, PLUS, ZERO, NINE, SMALL_E, LARGE_E = b',\n\r".-+09eE'
LARGEST_POWER = 64  # of ten, and of a tenth; a number beyond is left to Python
TENS = 4 * LARGEST_POWER + 2  # where powers of ten begin in `powers`
LONGEST = 12  # letters of a text
GAP = 0x7FF8_0000_0000_0001  # NaN: a missing number
SIGN = 1 << 63
ODD = 4096  # words for numbers that Python rounds
ZEROS, TOO_LARGE, HIGHEST_BITS = 0x3030_3030_3030_3030, 0x7676_7676_7676_7676, 0x8080_8080_8080_8080
PAIRS, BY_HUNDREDS, BY_MILLIONS = 0x0000_00FF_0000_00FF, 0x0000_2710_0000_0001, 0x000F_4240_0000_0064
EXACT = 1 << 53


def powers() -> list[int]:
    """Return 5^q for q from -LARGEST_POWER on, each as 128 bits without zeros above, upper and lower 64; then 10^n."""
    found = []
    for q in range(-LARGEST_POWER, LARGEST_POWER + 1):
        value = 5 ** abs(q)
        if q < 0:  # the reciprocal, rounded up where 128 bits hold it
            size = (value - 1).bit_length()
            value = (1 << (size + 127 if q >= -27 else 2 * size + 128)) // value + 1
        else:
            value <<= 128
        value >>= value.bit_length() - 128
        found += [value >> 64, value & ((1 << 64) - 1)]
    return found + [10**n for n in range(9)]


def rows(
    data: Bytes,
    size: int,
    most: int,
    fields: int,
    kinds: Ints,
    places: Ints,
    words: Ints,
    missing: Ints,
    fives: Ints,
    odd: Ints,
) -> int:
    """Parse all rows, each with its end of line, at most `most`; return how many there are, -1 where one is unusual.

    Args:
        kinds, places: (fields,) kind of each column, and where its first cell is written in words.
        missing: (fields,) counts empty cells.
        fives: of `powers`.
        odd: [number of them, then three for each] place in words, first and last byte of a number that Python rounds.
    """
    at = 0
    row = 0
    while at < size:
        if row == most:
            return -1
        for field in range(fields):
            kind = kinds[field]
            if kind == NUMBER:
                if data[at] == COMMA or data[at] == LINE_END or data[at] == RETURN:
                    words[places[field] + row] = GAP
                    missing[field] += 1
                else:
                    at = number(data, size, at, words, places[field] + row, fives, odd)
            elif kind == WHOLE:
                at = whole(data, size, at, words, places[field] + row, fives)
            elif kind == TEXT:
                begin = at
                at = text(data, at, words, places[field] + 2 * row)
                if at == begin:
                    missing[field] += 1
            else:
                at = behind(data, at)
            if at < 0:
                return -1
            if field + 1 < fields:
                if data[at] != COMMA:
                    return -1
            else:
                if data[at] == RETURN:
                    at += 1
                if data[at] != LINE_END:
                    return -1
            at += 1
        row += 1
    return row


def number(data: Bytes, size: int, begin: int, words: Ints, place: int, fives: Ints, odd: Ints) -> int:
    """Parse a number into words[place]; return its end, -1 where none stands."""
    at = begin + 1 if data[begin] == MINUS else begin
    first = at
    word = next_eight(data, size, at)
    count = digits(word)
    if count == 0:
        return -1
    value = of_digits(word, count)
    at += count
    while count == 8:
        word = next_eight(data, size, at)
        count = digits(word)
        if count > 0:
            value = value * fives[TENS + count] + of_digits(word, count)
        at += count
    significant = at - first  # digits, but zeros at the beginning
    power = 0
    if data[at] == POINT:
        at += 1
        first = at
        if value == 0:
            significant = 0
            while data[at] == ZERO:
                at += 1
        significant -= at
        count = 8
        while count == 8:
            word = next_eight(data, size, at)
            count = digits(word)
            if count > 0:
                value = value * fives[TENS + count] + of_digits(word, count)
            at += count
        if at == first:
            return -1
        significant += at
        power = first - at
    if data[at] == SMALL_E or data[at] == LARGE_E:
        at += 1
        back = data[at] == MINUS
        if back or data[at] == PLUS:
            at += 1
        first = at
        exponent = 0
        while ZERO <= data[at] <= NINE:
            exponent = 10 * exponent + data[at] - ZERO
            at += 1
        if at == first or at - first > 3:
            return -1
        power += -exponent if back else exponent
    found = -1
    if significant <= 19 and -LARGEST_POWER <= power <= LARGEST_POWER:
        found = rounded(value, power, fives)
    if found < 0:
        if 3 * odd[0] + 4 > ODD:
            return -1
        odd[3 * odd[0] + 1] = place
        odd[3 * odd[0] + 2] = begin
        odd[3 * odd[0] + 3] = at
        odd[0] += 1
        return at
    words[place] = found | SIGN if data[begin] == MINUS else found
    return at


def next_eight(data: Bytes, size: int, at: int) -> int:
    """Return eight bytes from a place on, the first one lowest; zeros behind the end."""
    if at + 8 <= size:
        return eight(data, at)
    word = 0
    for place in range(at, size):
        word = word | data[place] << (8 * (place - at))
    return word


def digits(word: int) -> int:
    """Return how many of eight bytes, from the lowest on, are digits."""
    values = word ^ ZEROS
    return trailing_zeros(((values + TOO_LARGE) | values) & HIGHEST_BITS) >> 3


def of_digits(word: int, count: int) -> int:
    """Return the number that the first `count` of eight bytes are, at least one."""
    word = (word - ZEROS) << (64 - 8 * count)  # zeros come before them
    word = 10 * word + (word >> 8)
    return ((word & PAIRS) * BY_MILLIONS + ((word >> 16) & PAIRS) * BY_HUNDREDS) >> 32


def rounded(value: int, power: int, fives: Ints) -> int:
    """Return the bits of the float64 nearest to value 10^power, -1 where it takes more than 128 bits to tell."""
    if value == 0:
        return 0
    if power == 0 and below(value, EXACT):
        return bits(float(value))
    zeros = leading_zeros(value)
    value = value << zeros
    place = 2 * (power + LARGEST_POWER)
    upper = high(value, fives[place])
    lower = value * fives[place]
    if (upper & 511) == 511:
        more = high(value, fives[place + 1])
        lower = lower + more
        if below(lower, more):
            upper += 1
        if lower == -1:
            return -1
    top = upper >> 63
    mantissa = upper >> (top + 9)  # with two bits too much
    exponent = ((217706 * power + (1000 << 16)) >> 16) - 1000 + 63 + top - zeros + 1023
    if below(lower, 2) and -4 <= power <= 23 and (mantissa & 3) == 1 and (mantissa << (top + 9)) == upper:
        mantissa -= 1  # exactly between two: the even one
    mantissa = (mantissa + (mantissa & 1)) >> 1
    if mantissa == 1 << 53:
        mantissa = 1 << 52
        exponent += 1
    return (mantissa & ((1 << 52) - 1)) | exponent << 52


def whole(data: Bytes, size: int, begin: int, words: Ints, place: int, fives: Ints) -> int:
    """Parse a whole number that prints as it stands into words[place]; return its end, -1 where none stands."""
    if data[begin] == ZERO:
        words[place] = 0
        return begin + 1
    first = begin + 1 if data[begin] == MINUS else begin
    at = first
    value = 0
    count = 8
    while count == 8:
        word = next_eight(data, size, at)
        count = digits(word)
        if count > 0:
            value = value * fives[TENS + count] + of_digits(word, count)
        at += count
    if at == first or at - first > 18 or data[first] == ZERO:
        return -1
    words[place] = -value if data[begin] == MINUS else value
    return at


def text(data: Bytes, begin: int, words: Ints, place: int) -> int:
    """Write a text into words[place] and the next one; return its end, -1 where it is none of the usual."""
    at = begin
    first = 0  # its first four letters
    more = 0  # the others
    while data[at] != COMMA and data[at] != LINE_END and data[at] != RETURN:
        letter = data[at]
        if letter < 32 or letter > 126 or letter == QUOTE or at - begin == LONGEST:
            return -1
        if at - begin < 4:
            first = first | letter << (8 * (at - begin))
        else:
            more = more | letter << (8 * (at - begin - 4))
        at += 1
    words[place] = first << 32 | (at - begin)
    words[place + 1] = more
    return at


def behind(data: Bytes, begin: int) -> int:
    """Return the end of a cell that nobody reads, -1 where a quote stands in it."""
    at = begin
    while data[at] != COMMA and data[at] != LINE_END and data[at] != RETURN:
        if data[at] == QUOTE:
            return -1
        at += 1
    return at
