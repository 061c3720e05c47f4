/* The live world of the stepper: see step_live.c. */
#ifndef TAPGLASS_APPS_STEP_LIVE_H
#define TAPGLASS_APPS_STEP_LIVE_H

#include <signal.h>

#include "options.h"
#include "step.h"

/* Brings up the link and its services; r->w is the world. An exit status, said why. */
int live_open(struct repl *r, struct options *opt, struct tg_step_options *o);
/* Ends it; rc, or what went wrong in ending. Nothing without a live world. */
int live_close(struct repl *r, int rc);
/* Reads what has come, without letting the clock go; and tells of it. */
void live_look(struct repl *r);
void live_meanwhile(struct repl *r);
/* r->next, without what nobody wants to know of. */
void live_next(struct repl *r);
/* Lets the clock go until a frame waits, a timer is due, until_ns by the instance's clock, or
 * *interrupted. Whether there is something to do. */
bool live_wait(struct repl *r, uint64_t until_ns, const volatile sig_atomic_t *interrupted);

/* Is what comes next nothing to stop for? */
bool live_skips(const struct repl *r);

#endif
