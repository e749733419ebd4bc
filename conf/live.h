/* conf/live.h - destinations that change while the program runs, laid over what the file says: what operators changed through sbcctl,
 * the addresses that names lead to, and who may go only when its last call has ended. A snapshot is made of the file and this, at each
 * change anew (docs/pools.md). Owned by the control thread. */
#ifndef CONF_LIVE_H
#define CONF_LIVE_H
#include "conf/conf.h"

enum conf_live_limits {
	CONF_CHANGES_MAX = 1024,       /* kept by sbcctl */
	CONF_URI_MAX = 255,            /* bytes of a URI in one */
	CONF_NAMES_MAX = 256,          /* destinations with `each-address` */
	CONF_ADDRESSES_MAX = 8,        /* of one name */
	CONF_EACH_NAME_MAX = 16,       /* bytes of the name of one, so that NAME/[ADDRESS]:PORT is a name, too */
	CONF_LEAVING_MAX = 1024,
};

/* Which destination is meant. */
struct conf_who {
	char pool[CONF_NAME_MAX + 1], name[CONF_NAME_MAX + 1];
};

enum conf_change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_WEIGHT };

/* REMOVE takes away what the file has, ADD comes after that, WEIGHT last. One of each kind per destination. */
struct conf_change {
	uint8_t kind;                  /* enum conf_change_kind */
	struct conf_who who;
	unsigned weight;               /* ADD, WEIGHT */
	char uri[CONF_URI_MAX + 1];    /* ADD */
};

/* What the name of a destination with `each-address` leads to at present. */
struct conf_addresses {
	struct conf_who who;
	unsigned n;
	struct addr addr[CONF_ADDRESSES_MAX];
	uint8_t transport[CONF_ADDRESSES_MAX]; /* T_NONE: the destination's */
	uint8_t tier[CONF_ADDRESSES_MAX];      /* by SRV priority, 0 first: added to the destination's */
};

/* Nothing names it any more, but it has calls. */
struct conf_leaving {
	struct conf_who who;
	char uri[CONF_URI_MAX + 1];
};

struct conf_live {
	const struct conf *now;        /* the snapshot that is to be replaced: what it has read of certificates is taken from there, */
	bool reads_certs;              /* unless this says that the files are read again. Else (and NULL) they are read */
	struct conf_change *changes;       unsigned n_changes;
	struct conf_addresses *addresses;  unsigned n_addresses;
	struct conf_leaving *leaving;      unsigned n_leaving;
};

/* conf_load and conf_parse with all that; `live` may be NULL. A change that has nothing to act on is a warning. */
int conf_load_live(struct conf **out, const char *file, const struct conf_live *live, struct conf_notes *notes);
int conf_parse_live(struct conf **out, const char *file, struct sv yaml, const struct conf_live *live, struct conf_notes *notes);

bool conf_who_is(const struct conf_who *who, struct sv pool, struct sv name);

/* What a new snapshot does to each destination of both. */
enum conf_fate { FATE_KEPT, FATE_CHANGED, FATE_ADDED, FATE_REMOVED, FATE_LEAVING };
/* `what`: for CHANGED "weight 1 -> 5, uri sip:a -> sip:b (begins anew)"; else empty. Valid during the call. */
typedef void conf_tell(void *ctx, enum conf_fate fate, struct sv pool, struct sv name, const char *what);
void conf_compare(const struct conf *was, const struct conf *is, conf_tell *tell, void *ctx);
const char *conf_fate_word(enum conf_fate fate);

#endif
