#include "registrar/aor.h"
#include <errno.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

int aor_of_uri(struct aor *out, const struct uri *u)
{
	struct sv host = u->host;
	size_t n;

	if ((u->scheme != URI_SIP && u->scheme != URI_SIPS) || !u->user.len)
		return -EBADMSG;
	if (host.len > 1 && host.p[host.len - 1] == '.')
		host.len--;
	if (u->user.len + 1 + host.len > AOR_TEXT_MAX)
		return -EMSGSIZE;
	n = unescape_to(out->text, u->user);
	out->user_len = (uint16_t)n;
	out->text[n++] = '@';
	for (size_t i = 0; i < host.len; i++)
		out->text[n++] = lower(host.p[i]);
	out->len = (uint16_t)n;
	return 0;
}

int aor_parse(struct aor *out, struct sv uri)
{
	struct uri u;

	return uri_parse(&u, uri) ? -EBADMSG : aor_of_uri(out, &u);
}

int aor_of_value(struct aor *out, struct sv value)
{
	struct name_addr na;

	return name_addr_parse(&na, value) ? -EBADMSG : aor_parse(out, na.uri);
}

uint64_t aor_key(const struct hash_key *key, const struct aor *a)
{
	const struct sv parts[] = { SV("aor"), aor_user(a), aor_host(a) };
	uint64_t h = hash_parts(key, parts, sizeof(parts) / sizeof(parts[0]));

	return h ? h : 1;
}

int registrant_of_value(struct registrant *out, const struct hash_key *key, struct sv value)
{
	struct name_addr na;
	int err = name_addr_parse(&na, value) ? -EBADMSG : aor_parse(&out->aor, na.uri);

	if (err)
		return err;
	out->uri = na.uri;
	out->key = aor_key(key, &out->aor);
	return 0;
}
