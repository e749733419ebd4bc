/* Messages of a hostile name server: the first byte says which type was asked for. Never beyond their bytes, always the best first, and an
 * order over what was read names each target once. */
#include "transports/dns.h"
#include "transports/srv.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_srv(const struct dns_set *s)
{
	struct resolve_answer out;
	struct found f = { 0 };
	uint64_t random = 1 + s->n;

	for (; f.n < s->n; f.n++) {
		const struct dns_srv *srv = &s->srv[f.n];

		f.target[f.n] = (struct found_target){ .priority = srv->priority, .weight = srv->weight, .port = srv->port, .n = 1 };
		f.addr[f.n] = (struct addr){ .family = 4, .ip = { (uint8_t)f.n } };
	}
	found_order(&f, 5060, &random, &out);
	if (out.n != s->n)
		abort();
	for (unsigned i = 1; i < out.n; i++)
		if (s->srv[out.addr[i - 1].ip[0]].priority > s->srv[out.addr[i].ip[0]].priority)
			abort();
}

static void check_name(const char *name)
{
	char again[DNS_NAME_MAX + 1];

	if (dns_name(again, sv_from(name)) || strcmp(again, name) != 0)
		abort();
}

static void check(const struct dns_set *s)
{
	if (s->n > DNS_KEPT_MAX || dns_set_size(s) > sizeof(*s))
		abort();
	for (unsigned i = 0; i < s->n; i++) {
		if (s->type == DNS_SRV)
			check_name(s->srv[i].host);
		if (s->type != DNS_NAPTR)
			continue;
		check_name(s->naptr[i].name);
		if (i && s->naptr[i - 1].order > s->naptr[i].order)
			abort();
	}
	if (s->type == DNS_SRV)
		check_srv(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR };
	unsigned char *exact;
	struct dns_set s;

	if (!size)
		return 0;
	exact = malloc(size);
	if (!exact)
		abort();
	memcpy(exact, data + 1, size - 1);
	if (dns_parse(&s, types[data[0] % 4], "s", exact, size - 1) == 0)
		check(&s);
	free(exact);
	return 0;
}
