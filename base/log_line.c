/* base/log_line.c */
#include "base/log_line.h"
#include "base/json.h"
#include <errno.h>
#include <stdio.h>

enum {
	TAIL = sizeof(",\"cut\":true}\n"), /* kept free for the end of the line */
	VALUE = LOG_LINE,                  /* raw bytes of one value */
};

struct line {
	char *p;
	size_t len, room; /* room: what pairs may fill */
	enum log_format format;
	bool is_cut;
};

struct value {
	char raw[VALUE];
	size_t len;
	unsigned decimals, others; /* what it was made of */
	bool is_cut;
};

struct args { /* so that a va_list can be passed on by reference */
	va_list ap;
	int err; /* for %m */
};

struct spec { /* of one conversion */
	bool has_zero;
	int width, precision; /* precision -1: none */
	char length;          /* 0, h, H (hh), l, q (ll), j, z, t, L */
	char kind;
};

static void add(struct value *v, struct sv bytes)
{
	size_t n = sizeof(v->raw) - v->len;

	v->is_cut |= bytes.len > n;
	if (bytes.len < n)
		n = bytes.len;
	if (n)
		memcpy(v->raw + v->len, bytes.p, n);
	v->len += n;
}

static int read_number(const char **f, struct args *args, int unset)
{
	int n = 0;

	if (**f == '*') {
		(*f)++;
		return va_arg(args->ap, int);
	}
	if (**f < '0' || **f > '9')
		return unset;
	for (; **f >= '0' && **f <= '9'; (*f)++)
		n = n < 10000 ? n * 10 + (**f - '0') : n;
	return n;
}

static char read_length(const char **f)
{
	char first = **f;

	if (!first || !strchr("hljztL", first))
		return 0;
	(*f)++;
	if ((first != 'h' && first != 'l') || **f != first)
		return first;
	(*f)++;
	return first == 'h' ? 'H' : 'q';
}

static struct spec read_spec(const char **f, struct args *args)
{
	struct spec s = { .precision = -1 };

	for (; **f && strchr("-+ #0", **f); (*f)++)
		s.has_zero |= **f == '0';
	s.width = read_number(f, args, 0);
	if (**f == '.') {
		(*f)++;
		s.precision = read_number(f, args, 0);
	}
	s.length = read_length(f);
	s.kind = **f;
	if (s.kind)
		(*f)++;
	return s;
}

static intmax_t next_signed(char length, struct args *args)
{
	switch (length) {
	case 'H':
		return (signed char)va_arg(args->ap, int);
	case 'h':
		return (short)va_arg(args->ap, int);
	case 'l':
		return va_arg(args->ap, long);
	case 'q':
		return va_arg(args->ap, long long);
	case 'j':
		return va_arg(args->ap, intmax_t);
	case 'z':
	case 't':
		return va_arg(args->ap, ptrdiff_t);
	default:
		return va_arg(args->ap, int);
	}
}

static uintmax_t next_unsigned(char length, struct args *args)
{
	switch (length) {
	case 'H':
		return (unsigned char)va_arg(args->ap, unsigned);
	case 'h':
		return (unsigned short)va_arg(args->ap, unsigned);
	case 'l':
		return va_arg(args->ap, unsigned long);
	case 'q':
		return va_arg(args->ap, unsigned long long);
	case 'j':
		return va_arg(args->ap, uintmax_t);
	case 'z':
	case 't':
		return va_arg(args->ap, size_t);
	default:
		return va_arg(args->ap, unsigned);
	}
}

static int print_float(char *text, size_t size, const struct spec *s, struct args *args)
{
	long double v = s->length == 'L' ? va_arg(args->ap, long double) : (long double)va_arg(args->ap, double);
	int w = s->width, p = s->precision;

	switch (s->kind | 0x20) {
	case 'f':
		return snprintf(text, size, "%*.*Lf", w, p, v);
	case 'e':
		return snprintf(text, size, "%*.*Le", w, p, v);
	case 'g':
		return snprintf(text, size, "%*.*Lg", w, p, v);
	default:
		return snprintf(text, size, "%*.*La", w, p, v);
	}
}

/* Filling with zeros is a precision; a given precision switches the flag off (C17 §7.21.6.1 paragraph 6). */
static int print_integer(char *text, size_t size, const struct spec *s, struct args *args)
{
	bool is_filled = s->has_zero && s->precision < 0;
	int w = is_filled ? 0 : s->width, p = is_filled ? s->width : s->precision;

	switch (s->kind) {
	case 'd':
	case 'i':
		return snprintf(text, size, "%*.*jd", w, p, next_signed(s->length, args));
	case 'o':
		return snprintf(text, size, "%*.*jo", w, p, next_unsigned(s->length, args));
	case 'x':
		return snprintf(text, size, "%*.*jx", w, p, next_unsigned(s->length, args));
	case 'X':
		return snprintf(text, size, "%*.*jX", w, p, next_unsigned(s->length, args));
	default:
		return snprintf(text, size, "%*.*ju", w, p, next_unsigned(s->length, args));
	}
}

static void add_number(struct value *v, const struct spec *s, struct args *args)
{
	char text[128];
	int n = strchr("diouxX", s->kind) ? print_integer(text, sizeof(text), s, args)
					   : print_float(text, sizeof(text), s, args);

	if (n > 0)
		add(v, (struct sv){ text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1 });
	v->decimals += strchr("diufFeEgG", s->kind) != NULL;
	v->others += strchr("oxXaA", s->kind) != NULL;
}

/* The bytes need not end in NUL when there is a precision. */
static void add_string(struct value *v, const struct spec *s, const char *text)
{
	size_t most = s->precision < 0 ? SIZE_MAX : (size_t)s->precision;

	if (text)
		add(v, (struct sv){ text, strnlen(text, most) });
	v->others++;
}

static void add_other(struct value *v, const struct spec *s, struct args *args)
{
	char text[128], c;

	v->others++;
	switch (s->kind) {
	case 'c':
		c = (char)va_arg(args->ap, int);
		add(v, (struct sv){ &c, 1 });
		break;
	case 'p':
		add(v, (struct sv){ text, (size_t)snprintf(text, sizeof(text), "%p", va_arg(args->ap, void *)) });
		break;
	case 'm':
		add(v, sv_from(strerror_r(args->err, text, sizeof(text))));
		break;
	case 'n': /* nothing is ever written through an argument */
		(void)va_arg(args->ap, void *);
		break;
	default:
		add(v, SV("%"));
		break;
	}
}

static void add_conversion(struct value *v, const char **f, struct args *args)
{
	struct spec s = read_spec(f, args);

	if (s.kind == 's')
		add_string(v, &s, va_arg(args->ap, const char *));
	else if (s.kind && strchr("diouxXfFeEgGaA", s.kind))
		add_number(v, &s, args);
	else
		add_other(v, &s, args);
}

/* From behind the `=` to the next space that stands in no quotes. */
static void read_value(struct value *v, const char **f, struct args *args)
{
	bool is_quoted = false;

	v->len = v->decimals = v->others = 0;
	v->is_cut = false;
	while (**f && (is_quoted || **f != ' ')) {
		char c = *(*f)++;

		if (c == '%') {
			add_conversion(v, f, args);
			continue;
		}
		v->others++;
		if (c == '"')
			is_quoted = !is_quoted;
		else
			add(v, (struct sv){ &c, 1 });
	}
}

/* RFC 8259 §6: no leading zeros or spaces, no nan. */
static bool is_json_number(const struct value *v)
{
	struct sv t = { v->raw, v->len };

	if (v->decimals != 1 || v->others || v->is_cut)
		return false;
	if (t.len && t.p[0] == '-')
		t = sv_skip(t, 1);
	if (!t.len || t.p[0] < '0' || t.p[0] > '9')
		return false;
	return t.p[0] != '0' || t.len == 1 || t.p[1] < '0' || t.p[1] > '9';
}

static bool is_bare(const struct value *v)
{
	for (size_t i = 0; i < v->len; i++)
		if (v->raw[i] <= ' ' || v->raw[i] > '~' || strchr("\"\\=", v->raw[i]))
			return false;
	return v->len > 0;
}

static void put(struct line *l, struct sv v)
{
	if (v.len)
		memcpy(l->p + l->len, v.p, v.len);
	l->len += v.len;
}

static void put_quoted(struct line *l, struct sv v)
{
	size_t taken;

	put(l, SV("\""));
	l->len += json_escape(l->p + l->len, l->room - l->len - 1, v, &taken);
	l->is_cut |= taken < v.len;
	put(l, SV("\""));
}

static void put_pair(struct line *l, struct sv key, const struct value *v)
{
	struct sv text = { v->raw, v->len };
	bool is_json = l->format == LOG_JSON;
	size_t frame = key.len + (is_json ? sizeof(",\"\":\"\"") : sizeof(" =\"\"")) - 1;
	bool is_whole = is_json ? is_json_number(v) : is_bare(v);

	if (frame > l->room - l->len || (is_whole && v->decimals && v->len > l->room - l->len - frame)) {
		l->is_cut = true; /* half a number would be a wrong one */
		return;
	}
	put(l, is_json ? l->len > 1 ? SV(",\"") : SV("\"") : l->len ? SV(" ") : SV(""));
	put(l, key);
	put(l, is_json ? SV("\":") : SV("="));
	if (is_whole && v->len <= l->room - l->len)
		put(l, text);
	else
		put_quoted(l, text);
	l->is_cut |= v->is_cut;
}

static void put_text(struct line *l, struct sv key, struct sv text)
{
	struct value v;

	v.len = v.decimals = 0;
	v.others = 1;
	v.is_cut = false;
	add(&v, text);
	put_pair(l, key, &v);
}

/* The end of a key at `f`, or NULL when the word has none. */
static const char *key_end(const char *f)
{
	const char *end = f + strcspn(f, "= %\"");

	return *end == '=' && end > f ? end : NULL;
}

static void put_pairs(struct line *l, const char *f, struct args *args)
{
	struct value v;

	for (f += strspn(f, " "); *f && !l->is_cut; f += strspn(f, " ")) {
		const char *end = key_end(f);
		struct sv key = end ? sv_span(f, end) : SV("msg");

		f = end ? end + 1 : f;
		read_value(&v, &f, args);
		put_pair(l, key, &v);
	}
}

static bool is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to the first of January of `year`. */
static uint64_t days_before(unsigned year)
{
	unsigned y = year - 1;

	return 365ULL * (year - 1970) + (y / 4 - y / 100 + y / 400) - 477; /* 477 leap days before 1970 */
}

/* Not gmtime_r, which takes glibc's time zone lock. */
static size_t print_time(char out[32], uint64_t unix_ms)
{
	static const uint8_t lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t seconds = unix_ms / 1000 % 253402300800; /* year 9999 and then again */
	unsigned year = 1970 + (unsigned)(seconds / 86400 / 366), month = 0, day;

	while (days_before(year + 1) <= seconds / 86400)
		year++;
	day = (unsigned)(seconds / 86400 - days_before(year));
	for (unsigned n; (n = lengths[month] + (month == 1 && is_leap(year))) <= day; month++)
		day -= n;
	return (size_t)snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month + 1, day + 1,
				(unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
				(unsigned)(seconds % 60), (unsigned)(unix_ms % 1000));
}

size_t log_line(char out[LOG_LINE], enum log_format format, enum log_level level, uint64_t unix_ms,
		const char *event, const char *fmt, va_list ap)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	struct line l = { .p = out, .room = LOG_LINE - TAIL, .format = format };
	struct args args = { .err = errno };
	char when[32];

	va_copy(args.ap, ap);
	if (format == LOG_JSON)
		put(&l, SV("{"));
	put_text(&l, SV("ts"), (struct sv){ when, print_time(when, unix_ms) });
	put_text(&l, SV("level"), sv_from(levels[level <= LOG_DEBUG ? level : LOG_DEBUG]));
	put_text(&l, SV("event"), sv_from(event));
	put_pairs(&l, fmt, &args);
	va_end(args.ap);
	if (l.is_cut)
		put(&l, format == LOG_JSON ? SV(",\"cut\":true") : SV(" cut=true"));
	put(&l, format == LOG_JSON ? SV("}\n") : SV("\n"));
	return l.len;
}
