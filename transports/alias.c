/* transports/alias.c - RFC 5923: a server that connected to us may say that it listens, too: then what we send there takes its
 * connection. */
#include "transports/inside.h"
#include <errno.h>
#include <stdlib.h>

struct alias {
	struct link in_table;        /* key: conn_remote_key of the connection's remote with `port` */
	struct conn *conn;
	uint16_t port;
};

int conn_alias(struct conn *c, uint16_t port)
{
	struct addr at = c->remote;
	struct alias *a;

	if (c->alias || !port || port == at.port)
		return c->alias && c->alias->port != port ? -EEXIST : 0;
	if (!(a = malloc(sizeof *a)))
		return -ENOMEM;
	at.port = port;
	*a = (struct alias){ .conn = c, .port = port };
	if (table_add(&c->s->aliases, &a->in_table, conn_remote_key(c->s, &at, c->listener, c->transport))) {
		free(a);
		return -ENOMEM;
	}
	c->alias = a;
	return 0;
}

void conn_alias_end(struct conn *c)
{
	if (!c->alias)
		return;
	table_del(&c->s->aliases, &c->alias->in_table);
	free(c->alias);
	c->alias = NULL;
}

struct conn *conn_by_alias(struct sockets *s, const struct path *to, uint64_t key)
{
	for (struct link *l = table_find(&s->aliases, key); l; l = table_next(&s->aliases, l)) {
		const struct alias *a = owner_of(l, struct alias, in_table);

		if (conn_is_usable(a->conn) && a->port == to->remote.port && addr_eq_ip(&a->conn->remote, &to->remote) &&
		    a->conn->listener == to->listener && a->conn->transport == to->transport && conn_is_for(a->conn, to))
			return a->conn;
	}
	return NULL;
}
