/* conf/schema.h - the one table of what a configuration file may say. The reader, --check, the reference page and the
 * JSON schema all walk it; a key that is not in it does not exist. Private to conf/. */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H
#include "conf/conf.h"

enum value_type {
	/* containers */
	TY_MAP,        /* fixed keys: the rows below */
	TY_NAMES,      /* keys chosen by the operator, one kind of value: the row below ending in ".*" */
	TY_LIST,       /* the row below ending in "[]" */
	/* scalars */
	TY_BOOL, TY_INT, TY_DURATION, TY_SIZE, TY_RATE, TY_CHOICE,
	TY_TEXT, TY_NAME, TY_HOST, TY_SERVER_NAME, TY_HOST_PORT, TY_SOCKET, TY_PREFIX, TY_LISTENER, TY_URI,
	TY_ZONE, TY_POOL, TY_RULES, TY_METHOD, TY_HEADER, TY_TEMPLATE, TY_USER, TY_GLOB, TY_REGEX,
	TY_PATH, TY_FILE, TY_SECRET, TY_KEY_FILE,
	TY_COUNT
};

enum reload_class { LIVE, RESTART };

struct reader;
struct row;

/* What a scalar became. */
struct value {
	uint64_t number;        /* also the index of a choice, zone or pool; ms, bytes, events per minute */
	struct sv text;         /* expanded, in the snapshot's arena */
	struct prefix prefix;
	struct addr addr;
	struct sv host;         /* TY_HOST_PORT: without port and brackets */
	uint16_t port;          /* 0: none written */
	bool is_path;           /* TY_SECRET: of the file that holds it */
};

struct row {
	const char *path;              /* "pools.*.probe.every"; the root is "" */
	uint8_t type;                  /* enum value_type; rows with the same path are alternatives */
	uint8_t reload;                /* enum reload_class */
	bool is_required;
	bool is_later;                 /* its part is not active in this version */
	bool takes_one;                /* TY_LIST: one value may stand without [ ] */
	uint8_t key_type;              /* TY_NAMES: type of the keys; default TY_NAME */
	const char *unset;             /* the default, as one would write it; NULL: none */
	uint64_t min, max;             /* of the number, or of the count in a container; 0, 0: none */
	const char *const *choices;
	/* Where it lands in the struct of the nearest row above that has `size`; offsets + 1, 0 = nowhere. */
	uint16_t slot, slot_size;
	uint16_t count, count_size;    /* containers that fill an array */
	uint16_t key;                  /* rows ending in ".*": where the key lands in the item, a struct sv */
	uint16_t size;                 /* a struct of its own begins here */
	void (*open)(struct reader *r, void *into);                                /* before its keys are read */
	void (*take)(struct reader *r, const struct value *v, void *into);         /* instead of the slot */
	void (*done)(struct reader *r, void *into);                                /* after its keys were read */
	bool (*same)(const void *now, const void *next, char was[192], char is[192]); /* of an item, instead of its rows */
	const char *help;
};

const struct row *schema_root(void);
const struct row *schema_end(void);                   /* behind the last row */
/* First row of the value under `key` of a mapping, of any key (TY_NAMES), of an item (TY_LIST). NULL: no such key. */
const struct row *schema_key(const struct row *map, struct sv key);
const struct row *schema_any(const struct row *names);
const struct row *schema_item(const struct row *list);
/* The next row with the same path, or NULL. */
const struct row *schema_other(const struct row *row);
/* Walks the rows that are direct keys of `map`, one per path: start with `at` NULL. */
const struct row *schema_next_key(const struct row *map, const struct row *at);
/* Last part of a row's path: "every". */
const char *schema_name(const struct row *row);

static inline bool type_is_scalar(uint8_t type)
{
	return type > TY_LIST;
}

#endif
