/* sip/sdp.c - what an SDP body must be before sofia-sip's sdp_parse may see it. Debian 12's allocates without end when
 * a format of an m= line whose protocol is not RTP starts with a byte that is no token (RFC 8866 §5.14, §9: fmt =
 * token); any format does, not only the first. */
#include "sip/grammar.h"
#include "sip/header.h"

/* RFC 8866 §9 token-char: what SIP calls a token, and # $ & ^ { | }. */
static bool is_token(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!is_class(v.p[i], C_TOKEN) && (!v.p[i] || !strchr("#$&^{|}", v.p[i])))
			return false;
	return v.len != 0;
}

/* One word and the single space behind it. */
static struct sv word_cut(struct sv *line)
{
	struct sv word = { line->p, sv_chr(*line, ' ') };

	*line = sv_skip(*line, word.len + 1);
	return word;
}

static bool is_port(struct sv v)
{
	size_t slash = sv_chr(v, '/');

	if (slash < v.len && !is_all(sv_skip(v, slash + 1), C_DIGIT))
		return false;
	return is_all((struct sv){ v.p, slash }, C_DIGIT);
}

static bool is_protocol(struct sv v)
{
	while (v.len) {
		size_t slash = sv_chr(v, '/');

		if (!is_token((struct sv){ v.p, slash }) || slash + 1 == v.len)
			return false;
		v = sv_skip(v, slash + 1);
	}
	return true;
}

/* media SP port ["/" number] SP proto 1*(SP fmt) */
static bool is_media(struct sv line)
{
	struct sv protocol;

	if (!is_token(word_cut(&line)) || !is_port(word_cut(&line)))
		return false;
	protocol = word_cut(&line);
	if (!protocol.len || !is_protocol(protocol) || !line.len)
		return false;
	while (line.len)
		if (!is_token(word_cut(&line)))
			return false;
	return true;
}

bool sdp_is_safe(struct sv body)
{
	const char *p = body.p, *end = body.p + body.len;

	if (!body.len || memchr(p, '\0', body.len))
		return false;
	while (p < end) {
		const char *stop = p;

		while (stop < end && *stop != '\r' && *stop != '\n')
			stop++;
		if (stop - p > 1 && *p == 'm' && (p[1] != '=' || !is_media(sv_span(p + 2, stop))))
			return false;
		p = stop + 1;
	}
	return true;
}
