#include "sbc/watch.h"

void watch_look(struct watch *w, const struct pools *p, const struct conf *c, struct log *log)
{
	for (uint32_t i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];
		uint16_t slot = pools_slot(p, c, i);
		struct dest_info info;

		if (slot >= POOL_DESTINATIONS_MAX)
			continue;
		dest_info(p, slot, &info);
		if (info.is_up == !w->was_down[slot])
			continue;
		w->was_down[slot] = !info.is_up;
		log_at(log, info.is_up ? LOG_INFO : LOG_WARN, info.is_up ? "destination.up" : "destination.down",
		       "pool=%.*s name=%.*s uri=%.*s why=%s calls=%u", SV_ARG(c->pools[d->pool].name), SV_ARG(d->name), SV_ARG(d->uri),
		       info.why, info.load);
	}
}
