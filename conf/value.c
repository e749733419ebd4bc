/* conf/value.c - the text of one value becomes what its row says, or a note that says what would be right. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf/reader.h"

/* Appends to a text of at most CONF_TEXT_MAX bytes. */
struct growing {
	char bytes[CONF_TEXT_MAX];
	size_t len;
	bool is_full;
};

static void grow(struct growing *g, struct sv v)
{
	if (v.len > sizeof(g->bytes) - g->len) {
		g->is_full = true;
		return;
	}
	memcpy(g->bytes + g->len, v.p, v.len);
	g->len += v.len;
}

/* No variable of the environment has a hyphen. */
#define MESSAGE_VARIABLES "; of a message there is: from-user, to-user, source-address, source-zone, call-id"

/* `raw` starts with "${": the variable's value is appended. Returns what lies behind the "}". */
static bool expand_variable(struct reader *r, struct sv *raw, struct growing *to)
{
	size_t end = sv_chr(*raw, '}');
	char name[128], word[72];
	const char *value;

	if (end == raw->len || end < 3 || end - 2 >= sizeof(name)) {
		note_error(r, "`${` without a name and `}`: write ${NAME} for a variable of the environment, $${ for the characters");
		return false;
	}
	if (is_message_variable((struct sv){ raw->p + 2, end - 2 })) {
		grow(to, (struct sv){ raw->p, end + 1 });
		r->has_message_variable = true;
		*raw = sv_skip(*raw, end + 1);
		return true;
	}
	memcpy(name, raw->p + 2, end - 2);
	name[end - 2] = '\0';
	value = getenv(name);
	if (!value) {
		note_error(r, "the environment has no variable `%s`: set it before the start, or write the value%s",
		           printable(sv_from(name), word), strchr(name, '-') ? MESSAGE_VARIABLES : "");
		return false;
	}
	grow(to, sv_from(value));
	r->has_variable = true;
	*raw = sv_skip(*raw, end + 1);
	return true;
}

/* What a value brings must not end a line of SIP, of the log or of a file. */
static bool has_control(struct sv v)
{
	for (size_t i = 0; i < v.len; i++) {
		if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
			return true;
	}
	return false;
}

bool reader_expand(struct reader *r, struct sv raw, struct sv *out)
{
	struct growing text;

	text.len = 0;
	text.is_full = r->has_variable = r->has_message_variable = false;
	while (raw.len && !text.is_full) {
		size_t plain = sv_chr(raw, '$');

		grow(&text, (struct sv){ raw.p, plain });
		raw = sv_skip(raw, plain);
		if (raw.len >= 3 && memcmp(raw.p, "$${", 3) == 0) {
			grow(&text, SV("${"));
			raw = sv_skip(raw, 3);
		} else if (raw.len >= 2 && raw.p[1] == '{') {
			if (!expand_variable(r, &raw, &text))
				return false;
		} else if (raw.len) {
			grow(&text, SV("$"));
			raw = sv_skip(raw, 1);
		}
	}
	if (text.is_full)
		note_error(r, "longer than %d bytes", CONF_TEXT_MAX);
	else if (has_control((struct sv){ text.bytes, text.len }))
		note_error(r, "control characters and line ends have no place in a value");
	else
		return (*out = reader_dup(r, (struct sv){ text.bytes, text.len })).p != NULL;
	return false;
}

static bool read_bool(struct reader *r, const struct row *row, struct value *v)
{
	static const char *const words[] = { "off", "on", "false", "true", "no", "yes" };

	(void)row;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (sv_eq(v->text, sv_from(words[i]))) {
			v->number = i & 1;
			return true;
		}
	}
	note_error(r, "neither on nor off");
	return false;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { 0 },
};
static const struct unit sizes[] = { { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { 0 } };
static const struct unit rates[] = { { "/s", 60 }, { "/m", 1 }, { 0 } };
static const struct unit counts[] = { { "", 1 }, { 0 } };

static const uint64_t duration_max_ms = UINT64_C(31) * 86400000;

int conf_duration_ms(struct sv text, uint64_t *ms)
{
	uint64_t n;
	size_t digits = 0;
	int err;

	while (digits < text.len && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	if ((err = sv_u64((struct sv){ text.p, digits }, duration_max_ms, &n)))
		return err;
	for (const struct unit *u = durations; u->name; u++) {
		if (!sv_eq(sv_skip(text, digits), sv_from(u->name)))
			continue;
		if (n > duration_max_ms / u->factor)
			return -ERANGE;
		*ms = n * u->factor;
		return 0;
	}
	return -EBADMSG;
}

static const struct unit *units_of(uint8_t type)
{
	return type == TY_DURATION ? durations : type == TY_SIZE ? sizes : type == TY_RATE ? rates : counts;
}

const char *number_text(uint8_t type, uint64_t n, char buf[32])
{
	const struct unit *best = counts;

	/* The largest unit that divides it. */
	for (const struct unit *u = units_of(type); u->name; u++) {
		if (n % u->factor == 0 && u->factor >= best->factor)
			best = u;
	}
	if (n == 0)
		return type == TY_DURATION ? "0s" : "0";
	snprintf(buf, 32, "%llu%s", (unsigned long long)(n / best->factor), best->name);
	return buf;
}

static bool check_bounds(struct reader *r, const struct row *row, uint64_t n)
{
	char min[32], max[32];

	if (n >= row->min && (!row->max || n <= row->max))
		return true;
	note_error(r, "out of bounds: %s to %s", number_text(row->type, row->min, min), number_text(row->type, row->max, max));
	return false;
}

static void wrong_number(struct reader *r, const struct row *row, struct sv digits, struct sv unit)
{
	char word[72];

	if (digits.len && !unit.len)
		note_error(r, "%s without a unit: write %s", type_name(row->type), type_hint(row->type));
	else if (digits.len && row->type != TY_INT && unit.p[0] != '.')
		note_error(r, "unknown unit `%s`: write %s", printable(unit, word), type_hint(row->type));
	else
		note_error(r, "not %s: write %s", type_name(row->type), type_hint(row->type));
}

/* Whole digits and a unit of the type; a count has none. */
static bool read_number(struct reader *r, const struct row *row, struct value *v)
{
	size_t n = 0;
	struct sv digits, unit;
	const struct unit *u = units_of(row->type);

	while (n < v->text.len && isdigit((unsigned char)v->text.p[n]))
		n++;
	digits = (struct sv){ v->text.p, n };
	unit = sv_skip(v->text, n);
	while (u->name && !sv_eq(unit, sv_from(u->name)))
		u++;
	if (!u->name || !digits.len) {
		wrong_number(r, row, digits, unit);
		return false;
	}
	/* Beyond 10^12 of anything is out of every bound; below it no unit overflows. */
	if (sv_u64(digits, 1000000000000ull, &v->number) < 0)
		v->number = UINT64_MAX;
	else
		v->number *= u->factor;
	return check_bounds(r, row, v->number);
}

static bool read_choice(struct reader *r, const struct row *row, struct value *v)
{
	struct known known;
	char hint[256], word[72], all[256];
	size_t at = 0;

	known_init(&known, v->text);
	all[0] = '\0';
	for (size_t i = 0; row->choices[i]; i++) {
		if (sv_eq(v->text, sv_from(row->choices[i]))) {
			v->number = i;
			return true;
		}
		known_offer(&known, sv_from(row->choices[i]));
		if (at < sizeof(all))
			at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "", row->choices[i]);
	}
	note_error(r, "`%s` is not one of: %s%s", printable(v->text, word), all, known_nearest(&known, hint));
	return false;
}

static bool consists_of(struct sv v, const char *others)
{
	for (size_t i = 0; i < v.len; i++) {
		if (!isalnum((unsigned char)v.p[i]) && (!v.p[i] || !strchr(others, v.p[i])))
			return false;
	}
	return v.len > 0;
}

static bool complain(struct reader *r, bool is_good, const struct row *row)
{
	if (!is_good)
		note_error(r, "not %s: write %s", type_name(row->type), type_hint(row->type));
	return is_good;
}

static bool read_any(struct reader *r, const struct row *row, struct value *v)
{
	(void)r, (void)row, (void)v;
	return true;
}

static bool read_name_text(struct reader *r, const struct row *row, struct value *v)
{
	return complain(r, v->text.len <= CONF_NAME_MAX && consists_of(v->text, "-_."), row);
}

/* RFC 3261 §25.1 token: methods and header names. */
static bool is_token(struct sv v)
{
	return consists_of(v, "-.!%*_+`'~");
}

/* A domain name's form; RFC 1123 §2.1 lengths. An address is one as well. */
static bool is_host(struct sv v)
{
	size_t label = 0;
	struct addr addr;

	if (addr_parse(&addr, v) == 0)
		return addr.port == 0;
	for (size_t i = 0; i < v.len; i++) {
		label = v.p[i] == '.' ? 0 : label + 1;
		if (label > 63 || (v.p[i] == '.' && (i == 0 || v.p[i - 1] == '.')))
			return false;
	}
	return v.len <= 253 && consists_of(v, "-._");
}

static bool read_host(struct reader *r, const struct row *row, struct value *v)
{
	return complain(r, is_host(v->text), row);
}

static bool read_server_name(struct reader *r, const struct row *row, struct value *v)
{
	bool is_wild = v->text.len > 2 && v->text.p[0] == '*' && v->text.p[1] == '.';

	return complain(r, is_host(is_wild ? sv_skip(v->text, 2) : v->text), row);
}

/* Splits HOST[:PORT], [IPv6][:PORT]. false: no port where a colon promises one, or brackets that do not close. */
bool split_host_port(struct sv text, struct sv *host, uint16_t *port)
{
	size_t end = text.len && text.p[0] == '[' ? sv_chr(text, ']') + 1 : sv_chr(text, ':');
	struct sv rest;
	uint64_t n = 0;

	if (end > text.len)
		return false;
	rest = sv_skip(text, end);
	if (rest.len && (rest.p[0] != ':' || sv_u64(sv_skip(rest, 1), 65535, &n) < 0 || n == 0))
		return false;
	*host = text.p[0] == '[' ? (struct sv){ text.p + 1, end - 2 } : (struct sv){ text.p, end };
	*port = (uint16_t)n;
	return host->len > 0;
}

static bool read_host_port(struct reader *r, const struct row *row, struct value *v)
{
	bool is_good = v->text.len && split_host_port(v->text, &v->host, &v->port) && is_host(v->host);

	/* An IPv6 address without brackets has no place where a port could begin. */
	if (is_good && v->text.p[0] == '[')
		is_good = addr_parse(&v->addr, v->text) == 0 && v->addr.family == 6;
	return complain(r, is_good, row);
}

static bool read_socket(struct reader *r, const struct row *row, struct value *v)
{
	if (!complain(r, addr_parse(&v->addr, v->text) == 0, row))
		return false;
	if (row->min && !v->addr.port) {
		note_error(r, "the port is missing: write ADDRESS:PORT");
		return false;
	}
	return true;
}

static bool read_prefix(struct reader *r, const struct row *row, struct value *v)
{
	return complain(r, prefix_parse(&v->prefix, v->text) == 0, row);
}

static bool read_zone(struct reader *r, const struct row *row, struct value *v)
{
	int at = conf_find_zone(r->conf, v->text);
	struct known known;
	char hint[256], word[72];

	(void)row;
	v->number = (uint64_t)at;
	if (at >= 0)
		return true;
	known_init(&known, v->text);
	for (unsigned i = 0; i < r->conf->n_zones; i++)
		known_offer(&known, r->conf->zones[i].name);
	note_error(r, "there is no zone `%s`%s", printable(v->text, word), known_nearest_or_all(&known, hint));
	return false;
}

static bool read_pool(struct reader *r, const struct row *row, struct value *v)
{
	int at = conf_find_pool(r->conf, v->text);
	struct known known;
	char hint[256], word[72];

	(void)row;
	v->number = (uint64_t)at;
	if (at >= 0)
		return true;
	known_init(&known, v->text);
	for (unsigned i = 0; i < r->conf->n_pools; i++)
		known_offer(&known, r->conf->pools[i].name);
	note_error(r, "there is no pool `%s`%s", printable(v->text, word), known_nearest_or_all(&known, hint));
	return false;
}

static bool read_rules(struct reader *r, const struct row *row, struct value *v)
{
	int at = conf_find_rules(r->conf, v->text);
	struct known known;
	char hint[256], word[72];

	(void)row;
	v->number = (uint64_t)at;
	if (at >= 0)
		return true;
	known_init(&known, v->text);
	for (unsigned i = 0; i < r->conf->n_rules; i++)
		known_offer(&known, r->conf->rules[i].name);
	note_error(r, "`headers` has no list `%s`%s", printable(v->text, word), known_nearest_or_all(&known, hint));
	return false;
}

static bool has_lower(struct sv v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (islower((unsigned char)v.p[i]))
			return true;
	}
	return false;
}

static bool read_method(struct reader *r, const struct row *row, struct value *v)
{
	static const char *const known[] = { "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO",
	                                     "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER" };

	if (!complain(r, is_token(v->text), row))
		return false;
	for (size_t i = 0; row->path && i < sizeof(known) / sizeof(known[0]); i++) {
		if (has_lower(v->text) && sv_ieq(v->text, sv_from(known[i]))) {
			note_error(r, "methods are case-sensitive (RFC 3261 §7.1): write %s", known[i]);
			return false;
		}
	}
	return true;
}

/* RFC 3261 §25.1: user = unreserved / escaped / user-unreserved; with '*' and '?' of a glob. */
static bool read_user(struct reader *r, const struct row *row, struct value *v)
{
	size_t dash = sv_chr(v->text, '-');
	struct sv from = { v->text.p, dash }, to = sv_skip(v->text, dash + 1);
	uint64_t n;

	if (!complain(r, consists_of(v->text, "-_.!~*'()&=+$,;?/%"), row))
		return false;
	if (dash == v->text.len || sv_u64(from, UINT64_MAX, &n) == -EBADMSG || sv_u64(to, UINT64_MAX, &n) == -EBADMSG)
		return true;
	if (from.len == to.len && memcmp(from.p, to.p, to.len) <= 0)
		return true;
	note_error(r, "a range goes from the lower to the higher number, both with as many digits: \"1000-1999\"");
	return false;
}

static bool read_glob(struct reader *r, const struct row *row, struct value *v)
{
	return complain(r, v->text.len > 0, row);
}

/* A part that is not active yet may name what does not exist yet. */
static bool check_readable(struct reader *r, struct sv path)
{
	char name[CONF_TEXT_MAX + 1], word[72];
	struct stat st;
	const char *why = NULL;

	memcpy(name, path.p, path.len);
	name[path.len] = '\0';
	if (stat(name, &st) < 0 || access(name, R_OK) < 0)
		why = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		why = "it is a directory";
	if (why && r->later)
		note_warning(r, "%s cannot be read: %s", printable(path, word), why);
	else if (why)
		note_error(r, "%s cannot be read: %s", printable(path, word), why);
	return !why || r->later;
}

static bool read_path(struct reader *r, const struct row *row, struct value *v)
{
	if (!complain(r, v->text.len > 0, row))
		return false;
	if (!row->max || v->text.len <= row->max)
		return true;
	note_error(r, "%zu bytes; a socket's path has at most %llu", v->text.len, (unsigned long long)row->max);
	return false;
}

static bool read_file(struct reader *r, const struct row *row, struct value *v)
{
	return complain(r, v->text.len > 0, row) && check_readable(r, v->text);
}

static bool read_key_file(struct reader *r, const struct row *row, struct value *v)
{
	if (!complain(r, v->text.len > 5 && memcmp(v->text.p, "file:", 5) == 0, row))
		return false;
	v->text = sv_skip(v->text, 5);
	return check_readable(r, v->text);
}

/* Secrets are not written into the file: `file:PATH`, or a value that came out of the environment. */
static bool read_secret(struct reader *r, const struct row *row, struct value *v)
{
	v->is_path = v->text.len > 5 && memcmp(v->text.p, "file:", 5) == 0;
	if (v->is_path)
		return read_key_file(r, row, v);
	return complain(r, r->has_variable && v->text.len > 0, row);
}

struct type {
	const char *name, *hint;
	bool (*read)(struct reader *r, const struct row *row, struct value *v);
};

static const struct type types[TY_COUNT] = {
	[TY_MAP] = { "a mapping", "", NULL },
	[TY_NAMES] = { "a mapping of names", "", NULL },
	[TY_LIST] = { "a list", "", NULL },
	[TY_BOOL] = { "on or off", "on or off", read_bool },
	[TY_INT] = { "a number", "digits only", read_number },
	[TY_DURATION] = { "a duration", "\"250ms\", \"5s\", \"3m\", \"2h\" or \"7d\"", read_number },
	[TY_SIZE] = { "a size", "\"512B\", \"64KiB\", \"10MiB\" or \"1GiB\"", read_number },
	[TY_RATE] = { "a rate", "\"50/s\" or \"600/m\"", read_number },
	[TY_CHOICE] = { "a word", "", read_choice },
	[TY_TEXT] = { "a text", "", read_any },
	[TY_NAME] = { "a name", "1 to 64 letters, digits, `-`, `_` and `.`", read_name_text },
	[TY_HOST] = { "a host name or address", "\"example.com\" or \"192.0.2.1\"", read_host },
	[TY_SERVER_NAME] = { "a server name", "\"sip.example.com\" or \"*.example.com\"", read_server_name },
	[TY_HOST_PORT] = { "a host and port", "\"sip.example.com\", \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"", read_host_port },
	[TY_SOCKET] = { "an address and port", "\"192.0.2.1:53\" or \"[2001:db8::1]:53\"", read_socket },
	[TY_PREFIX] = { "a network", "\"10.0.0.0/8\", \"2001:db8::/32\" or one address", read_prefix },
	[TY_LISTENER] = { "a listener", "\"udp:192.0.2.1:5060\" or \"wss:192.0.2.1:443/sip\"", read_any },
	[TY_URI] = { "a SIP URI", "\"sip:10.0.0.21:5060;transport=tcp\"", read_any },
	[TY_ZONE] = { "a zone", "the name of a zone", read_zone },
	[TY_POOL] = { "a pool", "the name of a pool", read_pool },
	[TY_RULES] = { "a list of header rules", "the name of a list in `headers`", read_rules },
	[TY_HEADER] = { "a header", "its full name; in a list also the beginning of one that is not known, and `*`", read_header },
	[TY_TEMPLATE] = { "a header's value", "a text, in which ${from-user}, ${to-user}, ${source-address}, ${source-zone} and ${call-id} "
	                  "are filled in", read_any },
	[TY_METHOD] = { "a token", "letters, digits and -.!%*_+`'~ (RFC 3261 §25.1)", read_method },
	[TY_USER] = { "a user pattern", "\"conf-*\", \"+49*\", \"1000-1999\" or a user", read_user },
	[TY_GLOB] = { "a pattern", "a text in which * stands for any run and ? for one character", read_glob },
	[TY_REGEX] = { "a regular expression", "a POSIX extended one", read_any },
	[TY_PATH] = { "a path", "the path of a file or directory", read_path },
	[TY_FILE] = { "a file", "the path of a file", read_file },
	[TY_SECRET] = { "a secret", "\"file:PATH\" or \"${NAME}\"; a secret does not stand in this file", read_secret },
	[TY_KEY_FILE] = { "a key file", "\"file:PATH\"", read_key_file },
};

const char *type_name(uint8_t type)
{
	return types[type].name;
}

const char *type_hint(uint8_t type)
{
	return types[type].hint;
}

bool value_read(struct reader *r, const struct row *row, struct sv text, struct value *out)
{
	*out = (struct value){ .text = text };
	return types[row->type].read(r, row, out);
}
