#include "transports/net.h"

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
