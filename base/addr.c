/* base/addr.c - addresses to text and back. */
#include "base/addr.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static const unsigned char mapped_prefix[12] = { [10] = 0xff, [11] = 0xff }; /* ::ffff:0:0/96, RFC 4291 §2.5.5.2 */

static void set_ip4(struct addr *a, const void *ip)
{
	*a = (struct addr){ .family = 4 };
	memcpy(a->ip, ip, 4);
}

static void set_ip6(struct addr *a, const unsigned char *ip)
{
	if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		set_ip4(a, ip + sizeof(mapped_prefix));
		return;
	}
	*a = (struct addr){ .family = 6 };
	memcpy(a->ip, ip, 16);
}

/* Four numbers up to 255 without leading zeros, as inet_pton reads them, but for bytes without a NUL. */
static int parse_ip4(struct addr *out, struct sv text)
{
	unsigned char ip[4];
	const char *p = text.p, *end = p + text.len;

	for (unsigned i = 0; i < 4; i++) {
		const char *first = p;
		unsigned n = 0;

		for (; p < end && *p >= '0' && *p <= '9' && n <= 255; p++)
			n = n * 10 + (unsigned)(*p - '0');
		if (p == first || n > 255 || (*first == '0' && p - first > 1))
			return -EBADMSG;
		if (i < 3 && (p == end || *p++ != '.'))
			return -EBADMSG;
		ip[i] = (unsigned char)n;
	}
	if (p < end)
		return -EBADMSG;
	set_ip4(out, ip);
	return 0;
}

/* An address alone, no port, no brackets, no zone id: those have no meaning in SIP (RFC 6874 §1). */
static int parse_ip(struct addr *out, struct sv text)
{
	char z[INET6_ADDRSTRLEN], *colons;
	unsigned char ip[16];

	if (sv_chr(text, ':') == text.len)
		return parse_ip4(out, text);
	if (text.len >= sizeof(z) || memchr(text.p, '\0', text.len))
		return -EBADMSG;
	memcpy(z, text.p, text.len);
	z[text.len] = '\0';
	if ((colons = strstr(z, ":::")) && strchr(colons, '.')) /* a third, before IPv4: RFC 3261, RFC 5118 §4.10 */
		memmove(colons, colons + 1, strlen(colons));
	if (inet_pton(AF_INET6, z, ip) != 1)
		return -EBADMSG;
	set_ip6(out, ip);
	return 0;
}

static int parse_port(struct sv text, uint64_t *port)
{
	if (text.len > 5)
		return -EBADMSG;
	return sv_u64(text, UINT16_MAX, port) ? -EBADMSG : 0;
}

int addr_parse(struct addr *out, struct sv text)
{
	struct sv host = text, port = { NULL, 0 };
	bool has_bracket = text.len && text.p[0] == '[', has_port = false;
	size_t colon, close;
	uint64_t number = 0;
	struct addr a;

	if (parse_ip4(out, text) == 0)
		return 0;
	colon = sv_chr(text, ':');
	close = has_bracket ? sv_chr(text, ']') : text.len;
	if (has_bracket) {
		if (close == text.len)
			return -EBADMSG;
		host = (struct sv){ text.p + 1, close - 1 };
		port = sv_skip(text, close + 1);
		has_port = port.len > 0;
		if (sv_chr(host, ':') == host.len || (has_port && port.p[0] != ':'))
			return -EBADMSG;
		port = sv_skip(port, 1);
	} else if (colon < text.len && sv_chr(sv_skip(text, colon + 1), ':') == text.len - colon - 1) {
		host.len = colon; /* one colon only: IPv4 and a port */
		port = sv_skip(text, colon + 1);
		has_port = true;
	}
	if (parse_ip(&a, host) || (has_port && parse_port(port, &number)))
		return -EBADMSG;
	a.port = (uint16_t)number;
	*out = a;
	return 0;
}

/* Each response and each call record names an address: inet_ntop and snprintf would cost 3,000 instructions. */
static char *put_octet(char *at, unsigned n)
{
	if (n >= 100)
		*at++ = (char)('0' + n / 100);
	if (n >= 10)
		*at++ = (char)('0' + n / 10 % 10);
	*at++ = (char)('0' + n % 10);
	return at;
}

static void put_ip4(char *at, const uint8_t ip[4])
{
	for (unsigned i = 0; i < 4; i++) {
		at = put_octet(at, ip[i]);
		*at++ = i < 3 ? '.' : '\0';
	}
}

const char *addr_print_ip(const struct addr *a, char buf[ADDR_TEXT])
{
	if (a->family == 4)
		put_ip4(buf, a->ip);
	else if (a->family == 0 || !inet_ntop(AF_INET6, a->ip, buf, ADDR_TEXT))
		memcpy(buf, "none", sizeof("none"));
	return buf;
}

const char *addr_print(const struct addr *a, char buf[ADDR_TEXT])
{
	bool is_ip6 = a->family == 6;
	char ip[ADDR_TEXT], digits[SV_DECIMAL], *at = buf;
	struct sv port = sv_decimal(a->port, digits);
	size_t len = strlen(addr_print_ip(a, ip)); /* below INET6_ADDRSTRLEN = 46 of the 64 bytes */

	if (is_ip6)
		*at++ = '[';
	at = sv_copy(at, (struct sv){ ip, len });
	if (is_ip6)
		*at++ = ']';
	*at++ = ':';
	*sv_copy(at, port) = '\0';
	return buf;
}

int addr_order_ip(const struct addr *a, const struct addr *b)
{
	int order = (a->family > b->family) - (a->family < b->family);

	if (!order)
		order = memcmp(a->ip, b->ip, sizeof(a->ip));
	return order ? order : (a->scope > b->scope) - (a->scope < b->scope);
}

bool addr_eq_ip(const struct addr *a, const struct addr *b)
{
	return addr_order_ip(a, b) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_eq_ip(a, b);
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return a->family != 0 && memcmp(a->ip, zero, sizeof(zero)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 4 ? a->ip[0] == 127 : a->family == 6 && memcmp(a->ip, one, sizeof(one)) == 0;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;

	if (a->family == 6) {
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope };
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}
	if (a->family != 4)
		return 0;
	*in4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(a->port) };
	memcpy(&in4->sin_addr, a->ip, 4);
	return sizeof(*in4);
}

int addr_from_sockaddr(struct addr *out, const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;

	if (sa->sa_family == AF_INET) {
		set_ip4(out, &in4->sin_addr);
		out->port = ntohs(in4->sin_port);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	set_ip6(out, in6->sin6_addr.s6_addr);
	out->port = ntohs(in6->sin6_port);
	if (out->family == 6)
		out->scope = in6->sin6_scope_id;
	return 0;
}

/* Bits behind the prefix become zero, so that equal prefixes are equal bytes. */
static void mask_bits(struct addr *a, unsigned bits)
{
	for (unsigned i = 0; i < sizeof(a->ip); i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			a->ip[i] &= (uint8_t)(0xff00 >> keep);
	}
}

int prefix_parse(struct prefix *out, struct sv text)
{
	size_t slash = sv_chr(text, '/');
	struct sv host = { text.p, slash };
	struct addr net;
	uint64_t bits;
	unsigned width;

	if (parse_ip(&net, host))
		return -EBADMSG;
	width = net.family == 4 ? 32 : 128;
	bits = width;
	if (slash < text.len) {
		bool is_mapped = net.family == 4 && sv_chr(host, ':') < host.len;

		if (text.len - slash > 4 || sv_u64(sv_skip(text, slash + 1), is_mapped ? 128 : width, &bits))
			return -EBADMSG;
		if (is_mapped && bits < 96) /* ::ffff:10.0.0.0/104 is 10.0.0.0/8 */
			return -EBADMSG;
		bits -= is_mapped ? 96 : 0;
	}
	mask_bits(&net, (unsigned)bits);
	*out = (struct prefix){ .net = net, .bits = (uint8_t)bits };
	return 0;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
	struct addr net = *a;

	if (a->family == 0 || a->family != p->net.family)
		return false;
	mask_bits(&net, p->bits);
	return memcmp(net.ip, p->net.ip, sizeof(net.ip)) == 0;
}
