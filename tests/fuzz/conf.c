/* Fuzz: conf_parse() on arbitrary bytes. What it accepts holds together, can be told in words and replaces itself. An exact
 * copy is used, so that ASan sees a read beyond it. */
#include "conf/conf.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_hold_together(const struct conf *c)
{
	for (unsigned i = 0; i < c->n_listeners; i++) {
		must(c->listeners[i].zone < c->n_zones && c->listeners[i].bind.family && c->listeners[i].bind.port);
		must(c->listeners[i].advertise.len && c->listeners[i].advertise_host.len && c->listeners[i].advertise_port);
	}
	for (unsigned i = 0; i < c->n_pools; i++) {
		must(c->pools[i].zone < c->n_zones && c->pools[i].n_destinations && c->pools[i].failover.tries);
		must(conf_find_pool(c, c->pools[i].name) == (int)i);
	}
	for (unsigned i = 0; i < c->n_destinations; i++) {
		must(c->destinations[i].id == i && c->destinations[i].pool < c->n_pools && c->destinations[i].host.len);
		must(!c->destinations[i].is_numeric || c->destinations[i].addr.port);
	}
	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct conf_route *r = &c->routes[i];

		must(r->action <= ACT_INACTIVE && r->line && r->text.len);
		must(r->action != ACT_POOL || r->pool < c->n_pools);
		must(r->action != ACT_REJECT || (r->reject >= 300 && r->reject <= 699));
		must(r->when.zone >= -1 && r->when.zone < (int)c->n_zones);
		for (unsigned u = 0; u < r->when.n_users; u++)
			conf_user_match(r->when.users[u], r->when.users[0]);
	}
}

static void use(const struct conf *c, struct conf_notes *notes)
{
	struct conf_text text;

	must(c->n_zones && c->n_routes && c->node.len && c->workers >= 1 && c->workers <= 64);
	must_hold_together(c);
	must(conf_describe(c, &text) == 0);
	must(text.len == strlen(text.p));
	free(text.p);
	must(conf_can_replace(c, c, notes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_notes notes;
	struct conf *c = NULL;
	char line[2048];
	int err;

	conf_notes_init(&notes);
	err = conf_parse(&c, "f", (struct sv){ (const char *)data, size }, &notes);
	must(!err == (notes.errors == 0));
	list_each(it, &notes.list)
		conf_note_format(owner_of(it, struct conf_note, in_list), "f", line, sizeof(line));
	if (!err)
		use(c, &notes);
	conf_free(c);
	conf_notes_fini(&notes);
	return 0;
}
