#include "transports/proxy.h"
#include <errno.h>

enum { V2_HEAD = 16, V2_SIGNATURE = 12, V2_VERSION = 0x20, V2_LOCAL = 0, V2_PROXY = 1 };
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };

static const char v2_signature[V2_SIGNATURE] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

static bool is_begun(struct sv bytes, const char *whole, size_t len)
{
	return memcmp(bytes.p, whole, bytes.len < len ? bytes.len : len) == 0;
}

/* Version 1 --------------------------------------------------------------------------------------------------------- */

/* The next word of a line whose words are apart by one space each. */
static struct sv word(struct sv *line)
{
	const char *p = line->len ? memchr(line->p, ' ', line->len) : NULL;
	struct sv w = { line->p, p ? (size_t)(p - line->p) : line->len };

	line->p += w.len + (p != NULL);
	line->len -= w.len + (p != NULL);
	return w;
}

static int take_port(uint16_t *out, struct sv w)
{
	uint32_t n = 0;

	if (!w.len || w.len > 5 || (w.p[0] == '0' && w.len > 1))
		return -EBADMSG;
	for (size_t i = 0; i < w.len; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return -EBADMSG;
		n = n * 10 + (uint32_t)(w.p[i] - '0');
	}
	if (n > UINT16_MAX)
		return -EBADMSG;
	*out = (uint16_t)n;
	return 0;
}

/* An address of that family and nothing beside it: no brackets, no port. An IPv4-mapped one becomes IPv4. */
static int take_ip(struct addr *out, struct sv w, bool is_ipv6)
{
	bool has_colon = w.len && memchr(w.p, ':', w.len);

	if (!w.len || w.p[0] == '[' || has_colon != is_ipv6)
		return -EBADMSG;
	return addr_parse(out, w);
}

/* A real connection has a port at both ends, and comes from somewhere. */
static bool is_real(const struct proxy *p)
{
	return p->remote.port && p->local.port && !addr_is_any(&p->remote) && !addr_is_any(&p->local);
}

static int take_line(struct proxy *out, struct sv line)
{
	struct proxy p = { 0 };
	struct sv family;
	bool is_ipv6;

	word(&line); /* PROXY */
	family = word(&line);
	if (sv_eq(family, SV("UNKNOWN"))) { /* whatever follows is to be ignored */
		*out = p;
		return 0;
	}
	is_ipv6 = sv_eq(family, SV("TCP6"));
	if (!is_ipv6 && !sv_eq(family, SV("TCP4")))
		return -EBADMSG;
	if (take_ip(&p.remote, word(&line), is_ipv6) || take_ip(&p.local, word(&line), is_ipv6) || take_port(&p.remote.port, word(&line)) ||
	    take_port(&p.local.port, line) || !is_real(&p))
		return -EBADMSG;
	*out = p;
	return 0;
}

static int parse_v1(struct proxy *out, struct sv bytes)
{
	size_t len = bytes.len < PROXY_V1_MAX ? bytes.len : PROXY_V1_MAX;
	const char *lf = memchr(bytes.p, '\n', len);
	int err;

	if (!lf)
		return len == PROXY_V1_MAX ? -EBADMSG : 0;
	if (lf[-1] != '\r')
		return -EBADMSG;
	err = take_line(out, (struct sv){ bytes.p, (size_t)(lf - 1 - bytes.p) });
	return err ? err : (int)(lf + 1 - bytes.p);
}

/* Version 2 --------------------------------------------------------------------------------------------------------- */

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Two addresses of `size` bytes each, then two ports. */
static int take_addresses(struct proxy *out, const uint8_t *p, size_t len, size_t size)
{
	struct sockaddr_storage sa[2] = { { 0 } };
	struct addr *to[2] = { &out->remote, &out->local };

	if (len < 2 * size + 4)
		return -EBADMSG;
	for (int i = 0; i < 2; i++) {
		struct addr a = { .family = size == 4 ? 4 : 6, .port = u16(p + 2 * size + 2 * (size_t)i) };

		memcpy(a.ip, p + (size_t)i * size, size);
		addr_to_sockaddr(&a, &sa[i]);
		if (addr_from_sockaddr(to[i], (struct sockaddr *)&sa[i])) /* IPv4-mapped becomes IPv4 */
			return -EBADMSG;
	}
	return is_real(out) ? 0 : -EBADMSG;
}

static int take_v2(struct proxy *out, uint8_t command, uint8_t family, const uint8_t *p, size_t len)
{
	int err = 0;

	*out = (struct proxy){ 0 };
	if (command == V2_LOCAL)
		return 0; /* its own health check: the family says nothing then */
	switch (family) {
	case V2_TCP4:
		err = take_addresses(out, p, len, 4);
		break;
	case V2_TCP6:
		err = take_addresses(out, p, len, 16);
		break;
	case V2_UNSPEC:
	case V2_UNIX:
		break;
	default: /* datagrams do not come over a stream */
		err = -EBADMSG;
	}
	return err;
}

static int parse_v2(struct proxy *out, struct sv bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	struct proxy found;
	size_t len;
	int err;

	if (bytes.len > V2_SIGNATURE && p[V2_SIGNATURE] != (V2_VERSION | V2_LOCAL) && p[V2_SIGNATURE] != (V2_VERSION | V2_PROXY))
		return -EBADMSG;
	if (bytes.len < V2_HEAD)
		return 0;
	len = u16(p + 14);
	if (V2_HEAD + len > PROXY_MAX)
		return -EBADMSG;
	if (bytes.len < V2_HEAD + len)
		return 0;
	err = take_v2(&found, p[V2_SIGNATURE] & 0x0f, p[13], p + V2_HEAD, len);
	if (err)
		return err;
	*out = found;
	return (int)(V2_HEAD + len);
}

int proxy_parse(struct proxy *out, struct sv bytes)
{
	static const char v1[] = "PROXY ";

	if (!bytes.len)
		return 0;
	if (is_begun(bytes, v1, sizeof v1 - 1))
		return bytes.len < sizeof v1 - 1 ? 0 : parse_v1(out, bytes);
	return is_begun(bytes, v2_signature, sizeof v2_signature) ? parse_v2(out, bytes) : -EBADMSG;
}
