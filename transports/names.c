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

uint32_t net_name_for(struct net *net, uint8_t transport, struct sv host, struct sv path)
{
	bool is_secure = transport == T_TLS || transport == T_WSS;
	char text[NET_HOST_MAX + NET_URL_PATH_MAX + 1];
	struct addr addr;
	int n;

	if (transport != T_WS && transport != T_WSS)
		return is_secure ? net_name(net, host) : 0;
	if (!is_secure || addr_parse(&addr, host) == 0)
		host.len = 0;
	if (host.len && host.p[host.len - 1] == '.')
		host.len--;
	n = snprintf(text, sizeof(text), "%.*s%.*s", SV_ARG(host), SV_ARG(path.len ? path : SV("/")));
	return n < 0 || (size_t)n >= sizeof(text) ? 0 : net_name(net, (struct sv){ text, (size_t)n });
}
