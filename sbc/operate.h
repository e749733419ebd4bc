/* sbc/operate.h - what operators do with destinations: the verbs pools, drain, undrain, disable, enable. Control thread. */
#ifndef SBC_OPERATE_H
#define SBC_OPERATE_H
#include "sbc/drains.h"

struct ctl;
struct operate;

struct operate_params {
	struct drains_params drains;
	struct ctl *ctl;             /* may be NULL: nobody can ask, but deadlines hold */
};

int operate_new(struct operate **out, const struct operate_params *p);
/* After the control socket. */
void operate_free(struct operate *o);

/* Fails with the nearest name. */
struct ctl_reply;
void operate_no_pool(const struct conf *c, struct ctl_reply *r, struct sv name);

#endif
