/* base/json.c */
#include "base/json.h"
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void json_init(struct json *j, char *area, size_t size)
{
	*j = (struct json){ .p = area, .size = size };
}

/* Room for `n` more bytes, or NULL. */
static char *take(struct json *j, size_t n)
{
	char *at = j->p + j->len;

	if (j->overflow || n > j->size - j->len) {
		j->overflow = true;
		return NULL;
	}
	j->len += n;
	return at;
}

static void put(struct json *j, struct sv v)
{
	char *at = take(j, v.len);

	if (at)
		sv_copy(at, v);
}

static void put_char(struct json *j, char c)
{
	char *at = take(j, 1);

	if (at)
		*at = c;
}

static void begin_value(struct json *j)
{
	if (j->needs_comma)
		put_char(j, ',');
	j->needs_comma = true;
}

static void put_value(struct json *j, struct sv v)
{
	begin_value(j);
	put(j, v);
}

static void open_with(struct json *j, struct sv bracket)
{
	put_value(j, bracket);
	j->depth++;
	j->needs_comma = false;
}

static void close_with(struct json *j, struct sv bracket)
{
	put(j, bracket);
	j->overflow |= j->depth == 0; /* one too many: not a text to hand out */
	j->depth -= j->depth > 0;
	j->needs_comma = true;
}

void json_object(struct json *j)
{
	open_with(j, SV("{"));
}

void json_object_end(struct json *j)
{
	close_with(j, SV("}"));
}

void json_array(struct json *j)
{
	open_with(j, SV("["));
}

void json_array_end(struct json *j)
{
	close_with(j, SV("]"));
}

static bool is_between(struct sv v, size_t at, unsigned char low, unsigned char high)
{
	return at < v.len && (unsigned char)v.p[at] >= low && (unsigned char)v.p[at] <= high;
}

/* RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t utf8_len(struct sv v)
{
	unsigned char c = v.len ? (unsigned char)v.p[0] : 0x80;
	size_t tail = 0;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return is_between(v, 1, 0x80, 0xbf) ? 2 : 0;
	if (c >= 0xe0 && c <= 0xef && is_between(v, 1, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf))
		tail = 2;
	else if (c >= 0xf0 && c <= 0xf4 && is_between(v, 1, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf))
		tail = 3;
	for (size_t i = 2; i <= tail; i++)
		if (!is_between(v, i, 0x80, 0xbf))
			return 0;
	return tail ? tail + 1 : 0;
}

/* Line ends of Unicode and C1 controls move a terminal's cursor as well as the ASCII ones do. */
static bool is_control(struct sv ch)
{
	unsigned char c = (unsigned char)ch.p[0];

	if (ch.len == 1)
		return c < 0x20 || c == 0x7f;
	if (ch.len == 2)
		return c == 0xc2 && (unsigned char)ch.p[1] < 0xa0;
	return ch.len == 3 && (memcmp(ch.p, "\xe2\x80\xa8", 3) == 0 || memcmp(ch.p, "\xe2\x80\xa9", 3) == 0);
}

static unsigned code_point(struct sv ch)
{
	unsigned c = (unsigned char)ch.p[0];

	if (ch.len == 2)
		return (c & 0x1f) << 6 | ((unsigned char)ch.p[1] & 0x3f);
	return ch.len == 3 ? 0x2028u + ((unsigned char)ch.p[2] & 1) : c;
}

/* The letter behind the backslash, for what RFC 8259 §7 gives one. */
static char short_escape(char c)
{
	switch (c) {
	case '"':
	case '\\':
		return c;
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return '\0';
	}
}

/* One character as it stands in a string; `text` has room for 8. */
static size_t escape_one(struct sv ch, bool is_utf8, char text[8])
{
	char letter = short_escape(ch.p[0]);

	if (letter) {
		text[0] = '\\';
		text[1] = letter;
		return 2;
	}
	if (is_utf8 && !is_control(ch)) {
		memcpy(text, ch.p, ch.len);
		return ch.len;
	}
	return (size_t)snprintf(text, 8, "\\u%04x", code_point(ch) & 0xffff);
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Is one of eight bytes other than the printable ASCII that stands for itself? Each subtraction sets the top bit of a byte
 * that is too small (zero after the xor), the addition that of DEL. What a borrow or carry does to the bytes above does not
 * matter: there is a special one then. */
static bool has_special(uint64_t eight)
{
	const uint64_t each = 0x0101010101010101;
	uint64_t quote = eight ^ each * '"', backslash = eight ^ each * '\\';

	return (eight | (eight + each) | (eight - each * ' ') | (quote - each) | (backslash - each)) & each * 0x80;
}

#ifdef __SSE2__
static inline __m128i equal(__m128i x, char c)
{
	return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}

/* How many of the 16 bytes stand for themselves. Signed, what is above ASCII is below the space. */
static inline unsigned plain_of_16(const char *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p), special = _mm_cmplt_epi8(x, _mm_set1_epi8(' '));

	special = _mm_or_si128(special, _mm_or_si128(equal(x, '"'), _mm_or_si128(equal(x, '\\'), equal(x, 0x7f))));
	return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(special) | 1u << 16);
}
#else
static inline unsigned plain_of_16(const char *p)
{
	unsigned n = 0;

	while (n < 16 && is_plain((unsigned char)p[n]))
		n++;
	return n;
}
#endif

/* How many bytes at the start of `v` stand for themselves. */
static size_t plain_len(struct sv v)
{
	size_t len = 0, last;
	unsigned n;
	uint64_t eight;

	for (; v.len - len >= 16; len += 16)
		if ((n = plain_of_16(v.p + len)) < 16)
			return len + n;
	if (len && len < v.len) { /* the last 16, of which the first are known to be plain */
		last = v.len - 16;
		return last + plain_of_16(v.p + last);
	}
	if (v.len - len >= sizeof(eight)) { /* 8 to 15: the first eight and the last */
		memcpy(&eight, v.p + len, sizeof(eight));
		len += has_special(eight) ? 0 : sizeof(eight);
		memcpy(&eight, v.p + v.len - sizeof(eight), sizeof(eight));
		if (len && !has_special(eight))
			return v.len;
	}
	while (len < v.len && is_plain((unsigned char)v.p[len]))
		len++;
	return len;
}

size_t json_escape(char *out, size_t room, struct sv v, size_t *taken)
{
	size_t len = 0, at = 0;

	while (at < v.len && len < room) {
		struct sv rest = { v.p + at, v.len - at };
		size_t n = plain_len((struct sv){ rest.p, rest.len < room - len ? rest.len : room - len });
		char text[8];
		size_t text_len;

		if (n) {
			memcpy(out + len, rest.p, n);
			len += n;
			at += n;
			continue;
		}
		n = utf8_len(rest);
		text_len = escape_one((struct sv){ rest.p, n ? n : 1 }, n > 0, text);
		if (text_len > room - len)
			break;
		memcpy(out + len, text, text_len);
		len += text_len;
		at += n ? n : 1;
	}
	*taken = at;
	return len;
}

static void put_word(struct json *j, struct sv v)
{
	char *at = take(j, v.len + 2);

	if (!at)
		return;
	*at = '"';
	at = sv_copy(at + 1, v);
	*at = '"';
}

static void put_string(struct json *j, struct sv v)
{
	size_t taken = 0;

	if (plain_len(v) == v.len) {
		put_word(j, v);
		return;
	}
	put_char(j, '"');
	if (j->overflow)
		return;
	j->len += json_escape(j->p + j->len, j->size - j->len, v, &taken);
	j->overflow |= taken < v.len;
	put_char(j, '"');
}

void json_key_sv(struct json *j, struct sv key)
{
	size_t comma = j->needs_comma;
	char *at = take(j, comma + key.len + 3);

	j->needs_comma = false;
	if (!at)
		return;
	*at = ',';
	at += comma;
	*at = '"';
	at = sv_copy(at + 1, key);
	memcpy(at, "\":", 2);
}

void json_word(struct json *j, struct sv v)
{
	begin_value(j);
	put_word(j, v);
}

void json_str(struct json *j, struct sv v)
{
	begin_value(j);
	put_string(j, v);
}

void json_u64(struct json *j, uint64_t v)
{
	char digits[SV_DECIMAL];

	put_value(j, sv_decimal(v, digits));
}

void json_i64(struct json *j, int64_t v)
{
	char digits[SV_DECIMAL];

	put_value(j, v < 0 ? SV("-") : SV(""));
	put(j, sv_decimal(v < 0 ? -(uint64_t)v : (uint64_t)v, digits));
}

void json_bool(struct json *j, bool v)
{
	put_value(j, v ? SV("true") : SV("false"));
}

void json_null(struct json *j)
{
	put_value(j, SV("null"));
}

void json_raw(struct json *j, struct sv v)
{
	put_value(j, v);
}

struct sv json_done(const struct json *j)
{
	if (j->overflow || j->depth || !j->len)
		return (struct sv){ NULL, 0 };
	return (struct sv){ j->p, j->len };
}
