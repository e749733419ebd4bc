#include "transports/net.h"
#include <stdio.h>

static const char *const names[T_COUNT] = {
	[T_NONE] = "", [T_UDP] = "UDP", [T_TCP] = "TCP", [T_TLS] = "TLS", [T_WS] = "WS", [T_WSS] = "WSS",
};

const char *transport_name(uint8_t t)
{
	return t < T_COUNT ? names[t] : "";
}

uint8_t transport_parse(struct sv name)
{
	for (uint8_t t = T_UDP; t < T_COUNT; t++)
		if (sv_ieq(name, sv_from(names[t])))
			return t;
	return T_NONE;
}

static uint32_t name_of(struct net *net, struct sv text, bool is_configured)
{
	return is_configured ? net_name_configured(net, text) : net_name(net, text);
}

uint32_t net_name_for(struct net *net, uint8_t transport, struct sv host, struct sv path, bool is_configured)
{
	char text[NET_HOST_MAX + NET_URL_PATH_MAX + 1];
	struct addr addr;
	int n;

	if (!transport_is_websocket(transport))
		return transport_is_secure(transport) ? name_of(net, host, is_configured) : 0;
	if (!transport_is_secure(transport) || addr_parse(&addr, host) == 0)
		host.len = 0;
	if (host.len && host.p[host.len - 1] == '.')
		host.len--;
	n = snprintf(text, sizeof(text), "%.*s%.*s", SV_ARG(host), SV_ARG(path.len ? path : SV("/")));
	return n < 0 || (size_t)n >= sizeof(text) ? NET_NAME_NOBODY : name_of(net, (struct sv){ text, (size_t)n }, is_configured);
}
