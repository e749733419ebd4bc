/* sbc/states.h - the operators' decisions (dispatcher/wish.h) in the state directory: destinations.tlv, written whole and put in place
 * by one rename. Control thread. */
#ifndef SBC_STATES_H
#define SBC_STATES_H
#include "base/log.h"
#include "dispatcher/wish.h"

/* What is there is read into `w`. A file that cannot be read to its end is put aside as destinations.tlv.bad, said so in the log; what
 * could be read of it counts. */
void states_load(struct wishes *w, struct sv directory, struct log *log);
/* 0, or -errno: then the old file is still there, whole, and wishes_are_unsaved. */
int states_save(struct wishes *w, struct sv directory);
/* A file's bytes as states_load takes them: 0, or -EBADMSG behind what could be read. */
int states_read(struct wishes *w, struct sv bytes);

#endif
