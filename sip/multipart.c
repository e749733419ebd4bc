#include "sip/multipart.h"
#include "sip/header.h"

bool multipart_begin(struct multipart *m, struct sv type, struct sv body)
{
	size_t at = sv_chr(type, ';');
	struct sv boundary;

	*m = (struct multipart){ .rest = body };
	if (at < 10 || !sv_ieq((struct sv){ type.p, 10 }, SV("multipart/")) || !param_find(sv_skip(type, at), SV("boundary"), &boundary))
		return false;
	if (boundary.len >= 2 && *boundary.p == '"' && boundary.p[boundary.len - 1] == '"')
		boundary = (struct sv){ boundary.p + 1, boundary.len - 2 };
	m->boundary = boundary;
	return boundary.len && boundary.len <= MULTIPART_BOUNDARY_MAX;
}

static bool is_dashes(struct sv text)
{
	return text.len >= 2 && text.p[0] == '-' && text.p[1] == '-';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Length of a delimiter at the beginning of `line`: dashes and boundary; 0: there is none, or it is that of a part's own parts. */
static size_t delimiter_at(const struct multipart *m, struct sv line)
{
	size_t len = m->boundary.len + 2;
	struct sv behind = sv_skip(line, len);

	if (line.len < len || !is_dashes(line) || memcmp(line.p + 2, m->boundary.p, m->boundary.len) != 0)
		return 0;
	return !behind.len || is_dashes(behind) || is_blank(*behind.p) ? len : 0;
}

/* What stands before the next delimiter, without the line end that belongs to it; `rest` then begins behind the delimiter. */
static bool until_delimiter(struct multipart *m, struct sv *before)
{
	struct sv rest = m->rest;
	size_t len;

	while (rest.len && !(len = delimiter_at(m, rest)))
		rest = sv_skip(rest, sv_chr(rest, '\n') + 1);
	if (!rest.len)
		return false;
	*before = sv_span(m->rest.p, rest.p);
	if (before->len && before->p[before->len - 1] == '\n')
		before->len--;
	if (before->len && before->p[before->len - 1] == '\r')
		before->len--;
	m->rest = sv_skip(rest, len);
	return true;
}

static void read_header(struct part *p, struct sv line)
{
	struct sv name = sv_trim((struct sv){ line.p, sv_chr(line, ':') }), value = sv_trim(sv_skip(line, name.len + 1));

	if (sv_ieq(name, SV("Content-Type")))
		p->type = sv_trim((struct sv){ value.p, sv_chr(value, ';') });
	else if (sv_ieq(name, SV("Content-Length")))
		p->is_encoded = true;
	else if (sv_ieq(name, SV("Content-Transfer-Encoding")))
		p->is_encoded |= !sv_ieq(value, SV("binary")) && !sv_ieq(value, SV("8bit")) && !sv_ieq(value, SV("7bit"));
}

static void split(struct part *p, struct sv whole)
{
	struct sv rest = whole;

	*p = (struct part){ .type = SV("") };
	while (rest.len) {
		size_t end = sv_chr(rest, '\n');
		struct sv line = { rest.p, end };

		if (!sv_trim(line).len)
			break;
		read_header(p, line);
		rest = sv_skip(rest, end + 1);
	}
	p->headers = sv_trim(sv_span(whole.p, rest.p));
	p->body = sv_skip(rest, sv_chr(rest, '\n') + 1);
}

bool multipart_next(struct multipart *m, struct part *p)
{
	struct sv whole;

	if (m->is_over || (!m->n && !until_delimiter(m, &whole)))
		return false;
	m->is_over = is_dashes(m->rest);
	if (m->is_over || m->n++ == MULTIPART_PARTS_MAX)
		return false;
	m->rest = sv_skip(m->rest, sv_chr(m->rest, '\n') + 1);
	if (!until_delimiter(m, &whole))
		return false;
	split(p, whole);
	return true;
}
