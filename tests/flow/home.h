/* tests/flow/home.h - phones that register, and calls to where they are. */
#ifndef TESTS_FLOW_HOME_H
#define TESTS_FLOW_HOME_H
#include "tests/flow/cast.h"

#define DESK "192.0.2.31:5060"
#define MOBILE "192.0.2.32:5060"
#define TABLET "192.0.2.33:5060"
#define HOME_REGISTRAR "registrar: { example.com: { auth: none, expires: { min: 60s, max: 1h, jitter: 0 } } }\n"
#define HOME_POOLS "pools: { apps: { zone: core, probe: off, destinations: [{ name: bob, uri: \"sip:10.0.0.21:5060\" }] } }\n"
/* Anybody may call whoever is registered. `more` goes into the rule that leads there. */
#define HOME_WITH(more) \
	FLOW_ZONES HOME_POOLS "hiding: { guard: block }\n" \
	"routes: [{ when: { method: REGISTER }, to: registrar }, { when: { caller: any }, to: location" more " }]\n" HOME_REGISTRAR
#define HOME HOME_WITH("")

/* `p` registers as sip:USER@example.com with its own Contact and these parameters of it (";q=0.5"); `extra` lines. 200. */
void home_registers(struct phone *p, const char *user, const char *params, const char *extra);
/* The same with the Contact as given, "<...>;expires=0", and the answer. */
void home_says(struct phone *p, const char *user, const char *contact, const char *extra, const char *answer);
/* Everything has ended, and every registration has expired. */
void home_end(struct rig *r);

#endif
