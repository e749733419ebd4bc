/* PROXY headers of whoever reaches the port: never beyond their bytes; what is taken lies within them, stays what it is with more
 * behind it, and was wanted at every shorter length. */
#include "transports/proxy.h"
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy whole = { 0 }, cut;
	char *exact = malloc(size ? size : 1);
	int n;

	if (!exact)
		abort();
	if (size)
		memcpy(exact, data, size);
	n = proxy_parse(&whole, (struct sv){ exact, size });
	if (n > 0 && ((size_t)n > size || n > PROXY_MAX || (whole.remote.family && !whole.remote.port)))
		abort();
	if (n == 0 && size >= PROXY_MAX)
		abort();
	for (int i = 0; i < n; i++)
		if (proxy_parse(&cut, (struct sv){ exact, (size_t)i }) != 0)
			abort();
	if (n > 0 && (proxy_parse(&cut, (struct sv){ exact, (size_t)n }) != n || !addr_eq(&cut.remote, &whole.remote)))
		abort();
	free(exact);
	return 0;
}
