#include "sbc/watch.h"

static void look_at_drain(struct watch *w, const struct conf *c, const struct conf_destination *d, uint16_t slot,
                          const struct dest_info *info, struct log *log)
{
	bool is_drained = info->wish == WISH_DRAINING && !info->load;

	if (is_drained && !w->was_drained[slot])
		log_info(log, "destination.empty", "pool=%.*s name=%.*s", SV_ARG(c->pools[d->pool].name), SV_ARG(d->name));
	w->was_drained[slot] = is_drained;
}

static void look_at_evidence(struct watch *w, const struct conf *c, const struct conf_destination *d, uint16_t slot,
                             const struct dest_info *info, struct log *log)
{
	if (info->is_up == !w->was_down[slot])
		return;
	w->was_down[slot] = !info->is_up;
	log_at(log, info->is_up ? LOG_INFO : LOG_WARN, info->is_up ? "destination.up" : "destination.down",
	       "pool=%.*s name=%.*s uri=%.*s why=%s calls=%u", SV_ARG(c->pools[d->pool].name), SV_ARG(d->name), SV_ARG(d->uri), info->why,
	       info->load);
}

void watch_look(struct watch *w, const struct pools *p, const struct conf *c, struct log *log)
{
	for (uint32_t i = 0; i < c->n_destinations; i++) {
		const struct conf_destination *d = &c->destinations[i];
		uint16_t slot = pools_slot(p, c, i);
		struct dest_info info;

		if (slot >= POOL_DESTINATIONS_MAX)
			continue;
		dest_info(p, slot, &info);
		look_at_evidence(w, c, d, slot, &info, log);
		look_at_drain(w, c, d, slot, &info, log);
	}
}
