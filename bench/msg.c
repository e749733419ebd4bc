/* bench/msg.c - see msg.h. */
#include "bench/msg.h"
#include <arpa/inet.h>
#include <string.h>

enum { ROUTES_MAX = 16 };

static bool name_is(const char *p, const char *name, size_t len)
{
	return strncasecmp(p, name, len) == 0;
}

static enum msg_method method_of(struct sv v)
{
	static const struct {
		struct sv name;
		enum msg_method method;
	} known[] = {
		{ { "INVITE", 6 }, M_INVITE },
		{ { "ACK", 3 }, M_ACK },
		{ { "BYE", 3 }, M_BYE },
		{ { "OPTIONS", 7 }, M_OPTIONS },
		{ { "CANCEL", 6 }, M_CANCEL },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (sv_eq(v, known[i].name))
			return known[i].method;
	return M_OTHER;
}

static struct sv uri_in(struct sv v)
{
	size_t open = 0, close = 0;

	while (open < v.len && v.p[open] != '<')
		open++;
	if (open == v.len)
		return v;
	for (close = open; close < v.len && v.p[close] != '>'; close++)
		;
	return sv_span(v.p + open + 1, v.p + close);
}

struct sv msg_value(struct sv line)
{
	const char *p = memchr(line.p, ':', line.len), *end = line.p + line.len;

	if (!p)
		return (struct sv){ 0 };
	for (p++; p < end && *p == ' '; p++)
		;
	while (end > p && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
		end--;
	return sv_span(p, end);
}

static void add_line(struct sv *lines, unsigned *n, struct sv line)
{
	if (*n < MSG_LINES_MAX)
		lines[(*n)++] = line;
}

/* `n` is the length of the header's name. */
static void header_line(struct msg *m, struct sv line, size_t n)
{
	const char *p = line.p;

	if ((n == 3 && name_is(p, "Via", 3)) || (n == 1 && name_is(p, "v", 1)))
		add_line(m->via, &m->n_via, line);
	else if ((n == 4 && name_is(p, "From", 4)) || (n == 1 && name_is(p, "f", 1)))
		m->from = line;
	else if ((n == 2 && name_is(p, "To", 2)) || (n == 1 && name_is(p, "t", 1)))
		m->to = line;
	else if ((n == 7 && name_is(p, "Call-ID", 7)) || (n == 1 && name_is(p, "i", 1)))
		m->call_id = line;
	else if (n == 4 && name_is(p, "CSeq", 4))
		m->cseq = line;
	else if ((n == 7 && name_is(p, "Contact", 7)) || (n == 1 && name_is(p, "m", 1)))
		m->contact = uri_in(msg_value(line));
	else if (n == 12 && name_is(p, "Record-Route", 12))
		add_line(m->record_route, &m->n_record_route, line);
}

static struct sv upto_space(struct sv v)
{
	const char *p = memchr(v.p, ' ', v.len);

	return p ? sv_span(v.p, p) : v;
}

static bool start_line(struct msg *m, struct sv line)
{
	if (line.len > 12 && memcmp(line.p, "SIP/2.0 ", 8) == 0) {
		m->status = (unsigned)(line.p[8] - '0') * 100 + (unsigned)(line.p[9] - '0') * 10 +
		            (unsigned)(line.p[10] - '0');
		return m->status >= 100 && m->status < 700;
	}
	m->method = method_of(upto_space(line));
	return true;
}

bool msg_scan(struct msg *m, struct sv bytes)
{
	const char *p = bytes.p, *end = bytes.p + bytes.len, *lf, *colon;

	memset(m, 0, sizeof(*m));
	lf = memchr(p, '\n', bytes.len);
	if (!lf || !start_line(m, sv_span(p, lf)))
		return false;
	for (p = lf + 1; p < end && *p != '\r' && (lf = memchr(p, '\n', (size_t)(end - p))); p = lf + 1)
		if ((colon = memchr(p, ':', (size_t)(lf - p))))
			header_line(m, sv_span(p, lf + 1), (size_t)(colon - p));
	if (!m->n_via || !m->from.len || !m->to.len || !m->call_id.len || !m->cseq.len)
		return false;
	if (m->status) {
		struct sv v = msg_value(m->cseq), number = upto_space(v);

		if (number.len == v.len)
			return false;
		m->method = method_of(sv_span(number.p + number.len + 1, v.p + v.len));
	}
	return true;
}

struct sv msg_param(struct sv line, const char *name)
{
	const char *p = memmem(line.p, line.len, name, strlen(name)), *end = line.p + line.len, *q;

	if (!p)
		return (struct sv){ 0 };
	for (q = p += strlen(name); q < end && !strchr(";,> \r\n", *q); q++)
		;
	return sv_span(p, q);
}

/* Splits a header's value at the commas outside of brackets. */
static unsigned values_of(struct sv v, struct sv *out, unsigned n, unsigned max)
{
	const char *p = v.p, *from = v.p, *end = v.p + v.len;
	bool is_inside = false;

	for (; p < end; p++) {
		is_inside = *p == '<' ? true : *p == '>' ? false
		                                         : is_inside;
		if (*p == ',' && !is_inside && n < max) {
			out[n++] = sv_span(from, p);
			from = p + 1;
		}
	}
	if (n < max)
		out[n++] = sv_span(from, end);
	return n;
}

void msg_add_routes(struct text *t, const struct msg *m, struct sv *first)
{
	struct sv value[ROUTES_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_record_route; i++)
		n = values_of(msg_value(m->record_route[i]), value, n, ROUTES_MAX);
	*first = n ? uri_in(value[n - 1]) : (struct sv){ 0 };
	while (n) {
		text_add(t, SV("Route: "));
		text_add(t, value[--n]);
		text_add(t, SV("\r\n"));
	}
}

bool msg_uri_address(struct sv uri, struct sockaddr_in *out)
{
	char text[32];
	const char *at = memchr(uri.p, '@', uri.len), *end = uri.p + uri.len, *host = at ? at + 1 : uri.p + 4, *p;
	size_t len;

	if (uri.len < 8 || strncasecmp(uri.p, "sip:", 4) != 0)
		return false;
	for (p = host; p < end && ((*p >= '0' && *p <= '9') || *p == '.' || *p == ':'); p++)
		;
	len = (size_t)(p - host);
	if (!len || len > sizeof(text) - 6)
		return false;
	memcpy(text, host, len);
	strcpy(text + len, memchr(host, ':', len) ? "" : ":5060");
	return wire_address(out, text) == 0;
}
