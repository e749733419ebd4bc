/* conf/admin.c - the doors for operators. */
#include "conf/reader.h"

/* Nobody is asked who he is there, so nobody from outside may come. */
void on_admin_http(struct reader *r, const struct value *v, void *into)
{
	struct conf *c = into;

	c->admin_http = v->text;
	if (!addr_is_loopback(&v->addr))
		note_error(r, "there is no password over HTTP: listen on 127.0.0.1 or [::1], and put a server that asks for one in front "
		              "of it");
}
