/* nat/detect.c - signs of a NAT, and what follows from them. */
#include "nat/detect.h"

const struct counter_def nat_sign_defs[NAT_SIGNS] = {
	[NAT_VIA_HOST] = { "nat_via_host_total", "Clients whose Via names another address than their packets come from", false },
	[NAT_VIA_PORT] = { "nat_via_port_total", "Clients whose Via names another port than their packets come from", false },
	[NAT_CONTACT_PRIVATE] = { "nat_contact_private_total", "Clients at public addresses whose Contact names a private one", false },
	[NAT_CONTACT_HOST] = { "nat_contact_host_total", "Clients whose Contact names another address than their packets come from",
	                       false },
	[NAT_CONTACT_PORT] = { "nat_contact_port_total", "Clients whose Contact names another port than their packets come from", false },
	[NAT_CONTACT_INVALID] = { "nat_contact_invalid_total", "Clients whose Contact's host is in .invalid", false },
	[NAT_CONTACT_TRANSPORT] = { "nat_contact_transport_total", "Clients whose Contact names another transport than they use", false },
	[NAT_SDP_PRIVATE] = { "nat_sdp_private_total", "Clients at public addresses whose session description names a private one", false },
};

static bool has_bits(const struct addr *a, const uint8_t *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a->ip, net, whole) == 0 && (!rest || (a->ip[whole] ^ net[whole]) >> (8 - rest) == 0);
}

bool nat_is_private(const struct addr *a)
{
	static const struct {
		uint8_t family, bits, net[16];
	} nets[] = {
		{ 4, 8, { 10 } },                  /* RFC 1918 */
		{ 4, 12, { 172, 16 } },
		{ 4, 16, { 192, 168 } },
		{ 4, 10, { 100, 64 } },            /* RFC 6598: carriers' NATs */
		{ 4, 16, { 169, 254 } },           /* RFC 3927 */
		{ 4, 8, { 127 } },
		{ 4, 8, { 0 } },
		{ 6, 7, { 0xfc } },                /* RFC 4193 */
		{ 6, 10, { 0xfe, 0x80 } },
		{ 6, 128, { [15] = 1 } },
		{ 6, 128, { 0 } },
	};

	for (unsigned i = 0; i < sizeof(nets) / sizeof(*nets); i++)
		if (a->family == nets[i].family && has_bits(a, nets[i].net, nets[i].bits))
			return true;
	return false;
}

bool nat_is_invalid(struct sv host)
{
	struct sv end = SV(".invalid");

	if (host.len && host.p[host.len - 1] == '.')
		host.len--;
	return host.len >= end.len && sv_ieq(sv_skip(host, host.len - end.len), end);
}

static unsigned via_signs(const struct view *v, const struct path *from)
{
	struct sv host = view_via_host(v);
	uint16_t port = v->via_port ? v->via_port : 5060;
	unsigned signs = 0;
	struct addr a;

	if (nat_is_invalid(host) || (addr_parse(&a, host) == 0 && !addr_eq_ip(&a, &from->remote)))
		signs |= 1 << NAT_VIA_HOST;
	if (from->transport == T_UDP && port != from->remote.port)
		signs |= 1 << NAT_VIA_PORT;
	return signs;
}

static unsigned contact_signs(const struct view *v, const struct path *from)
{
	struct sv value = view_value(v, HDR_CONTACT);
	struct name_addr na;
	struct uri u;
	struct addr a;
	unsigned signs = 0;
	uint8_t transport;

	if (!value.len || name_addr_next(&na, &value) || uri_parse(&u, na.uri) || (u.scheme != URI_SIP && u.scheme != URI_SIPS))
		return 0;
	transport = uri_transport(&u);
	if (transport == T_WS && from->transport == T_WSS) /* it has no other word: RFC 7118 §5 */
		transport = T_WSS;
	if (transport != T_NONE && transport != from->transport)
		signs |= 1 << NAT_CONTACT_TRANSPORT;
	if (nat_is_invalid(u.host))
		return signs | 1 << NAT_CONTACT_INVALID;
	if (addr_parse(&a, u.host))
		return signs;
	if (nat_is_private(&a) && !nat_is_private(&from->remote))
		signs |= 1 << NAT_CONTACT_PRIVATE;
	if (!addr_eq_ip(&a, &from->remote))
		signs |= 1 << NAT_CONTACT_HOST;
	else if (from->transport == T_UDP && (u.port ? u.port : 5060) != from->remote.port)
		signs |= 1 << NAT_CONTACT_PORT;
	return signs;
}

/* "c=IN IP4 192.0.2.1", perhaps with a TTL behind (RFC 8866 §5.7). */
static bool sdp_is_private(struct sv body)
{
	size_t at = sv_find(body, SV("\nc=IN IP"));
	struct sv host = sv_skip(body, at == SIZE_MAX ? body.len : at + 10);
	struct addr a;

	host.len = sv_chr(host, '\n');
	host = sv_trim(host);
	host.len = sv_chr(host, '/');
	return addr_parse(&a, host) == 0 && !addr_is_any(&a) && nat_is_private(&a); /* all zeros: a stream on hold */
}

unsigned nat_signs(const struct view *v, const struct path *from)
{
	unsigned signs = via_signs(v, from) | contact_signs(v, from);

	if (v->body_len && !nat_is_private(&from->remote) && sdp_is_private(view_body(v)))
		signs |= 1 << NAT_SDP_PRIVATE;
	return signs;
}

bool nat_is_reachable(struct sv host, const struct addr *remote)
{
	struct addr a;

	return !nat_is_invalid(host) && (addr_parse(&a, host) || !nat_is_private(&a) || nat_is_private(remote));
}

/* Is there no NAT between it and us? */
static bool sees_itself(const struct view *v, const struct path *from)
{
	struct addr a;

	return addr_parse(&a, view_via_host(v)) == 0 && !via_signs(v, from);
}

/* It sends on what somebody else began: his Via stands below its own. */
static bool is_proxy(const struct view *v)
{
	struct sv value = view_value(v, HDR_VIA);
	struct via via;

	return view_find(v, HDR_VIA, v->first[HDR_VIA]) || (via_next(&via, &value) == 0 && value.len);
}

static bool leads_back(const struct view *v, const struct path *from, struct addr *route)
{
	struct sv value = view_value(v, HDR_RECORD_ROUTE);
	struct name_addr na;
	struct uri u;
	struct addr a;

	if (name_addr_next(&na, &value) || uri_parse(&u, na.uri) || addr_parse(&a, u.host) || !nat_is_reachable(u.host, &from->remote))
		return false;
	*route = a;
	return true;
}

bool nat_follows(enum conf_nat mode, bool is_trusted, const struct view *v, const struct path *from, struct addr *route)
{
	if (mode != NAT_AUTO)
		return mode == NAT_ALWAYS;
	if (is_trusted) /* a browser, whom nobody can connect to (RFC 7118 §5) */
		return transport_is_websocket(from->transport) && !v->first[HDR_RECORD_ROUTE];
	return !v->first[HDR_RECORD_ROUTE] || !is_proxy(v) || !sees_itself(v, from) || !leads_back(v, from, route);
}
