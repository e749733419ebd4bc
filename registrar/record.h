/* registrar/record.h - an AOR with its bindings as one opaque record for another node (DESIGN §7). Remaining lifetimes travel, not times;
 * listeners as they are written, not by number; flow handles stay behind: a contact over a connection is on the other node as if that
 * connection had just closed. Unknown fields are skipped. */
#ifndef REGISTRAR_RECORD_H
#define REGISTRAR_RECORD_H
#include "registrar/registrar.h"

struct registrar_sink {
	void (*put)(struct registrar_sink *sink, uint64_t aor_key, struct sv record);
};

/* Every AOR. 0 or -ENOMEM. */
int registrar_export(const struct registrar *r, const struct conf *c, struct registrar_sink *sink);
/* Which shard a record belongs to: its worker applies it. */
uint16_t registrar_record_shard(const struct registrar *r, struct sv record);
/* 0, also when nothing of it is left (it expired, its domain or listener is no more); -EBADMSG for a record that is
 * none; -EEXIST: the AOR has bindings here; -ENOSPC, -ENOMEM. */
int registrar_apply(struct registrar *r, const struct conf *c, struct sv record);

#endif
