/* DNS responses of a hostile server: never beyond their bytes, and an order over what was read names each target
 * once. */
#include "transports/srv.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct srv_answer a;
	struct resolve_answer out;
	struct found f = { 0 };
	uint64_t random = 1 + size;
	unsigned char *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	if (srv_parse(&a, exact, size) == 0) {
		if (a.n > SRV_TARGETS_MAX)
			abort();
		for (; f.n < a.n; f.n++) {
			const struct srv *srv = &a.srv[f.n];

			f.target[f.n] = (struct found_target){ srv->priority, srv->weight, srv->port, 1 };
			f.addr[f.n] = (struct addr){ .family = 4, .ip = { (uint8_t)f.n } };
		}
		found_order(&f, 5060, &random, &out);
		if (out.n != a.n)
			abort();
		for (unsigned i = 1; i < out.n; i++)
			if (a.srv[out.addr[i - 1].ip[0]].priority > a.srv[out.addr[i].ip[0]].priority)
				abort();
	}
	free(exact);
	return 0;
}
