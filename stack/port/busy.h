/* How long to poll before sleeping: for a fixed time, or as long as it has paid lately. A sleep
 * costs a wake-up of some 50 us; polling costs the processor. So the time to poll grows while
 * sleeps turn out short, and shrinks while they are long. Polling that finds nothing again and
 * again although work comes as soon as the processor is given up means that it was kept from who
 * would send it: then it rests for a while. */
#ifndef TG_PORT_BUSY_H
#define TG_PORT_BUSY_H

#include "base/base.h"

#define BUSY_LEAST_NS (10 * NS_PER_US)
#define BUSY_MOST_NS  (200 * NS_PER_US)
#define BUSY_REST_NS  (100 * NS_PER_MS)
#define BUSY_VAIN_MAX 8u /* times in a row in vain */
/* While polling, descriptors that are not links are looked at so often, at the most and at the
 * least. */
#define BUSY_LOOK_LEAST_NS (20 * NS_PER_US)
#define BUSY_LOOK_MOST_NS  (160 * NS_PER_US)

struct busy {
	bool adapts;
	uint64_t window_ns; /* to poll after work */
	uint64_t worked_ns; /* when there was last something to do */
	uint64_t slept_ns;  /* when the sleep began that busy_woken ends */
	uint64_t rest_ns;   /* no polling before then */
	unsigned vain;      /* sleeps in a row that were short and followed polling in vain */
};

/* busy_ns as in tg_host_run. */
void busy_init(struct busy *b, uint64_t busy_ns, uint64_t now_ns);
/* Is it time to sleep? */
bool busy_is_over(struct busy *b, uint64_t now_ns);
/* The sleep is over; work: because there was something to do. */
void busy_woken(struct busy *b, uint64_t now_ns, bool work);
/* Polling has found work. */
void busy_hit(struct busy *b, uint64_t now_ns);
/* Is it time to look at other descriptors? They were last looked at then, and last had something
 * then: the longer they have been quiet, the longer they may be. */
bool busy_looks(uint64_t looked_ns, uint64_t had_ns, uint64_t now_ns);

#endif
