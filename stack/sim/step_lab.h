/* The lab: two instances of ours and the frames between them. All of its state but the instances
 * lies in an arena. */
#ifndef TG_SIM_STEP_LAB_H
#define TG_SIM_STEP_LAB_H

#include "sim/impair.h"
#include "sim/step.h"

#define LAB_BYTES  (8u << 20) /* of the world beside the instances */
#define LAB_FRAMES 4096u      /* under way at once; then a device is busy */

struct lab_frame {
	struct list node;
	uint64_t due_ns; /* by the instances' clocks */
	uint32_t id, bytes;
	uint8_t to;
	uint8_t data[];
};

struct lab_end {
	struct tg_stepper *w;
	struct lab *lab;
	unsigned netif;
	uint8_t index;
	bool refused; /* transmit said busy since its last step */
	struct impair out;
};

struct lab {
	struct arena *arena;
	struct list queue; /* in order of delivery */
	uint32_t n_queue, next_id;
	uint64_t queue_bytes; /* of memory */
	struct lab_end end[2];
};

/* step_queue.c */
/* What an end sends: into the queue, by way of its impairments. */
bool lab_transmit(void *end, const struct tg_frame *f);
/* Is there room for one more frame, and its twin? */
bool lab_has_room(const struct tg_stepper *w);
struct lab_frame *lab_find(const struct lab *lab, uint32_t id); /* NULL: none */
struct lab_frame *lab_head(const struct lab *lab);
void lab_forget(struct lab *lab, struct lab_frame *f);
/* NULL: the user can do this to the queue. ev: the frame and the words. */
const char *lab_hand_may(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev);
int64_t lab_hand(struct tg_stepper *w, const struct tg_step_action *a);
void lab_tell_frame(
	const struct tg_stepper *w, const struct lab_frame *f, struct tg_step_event *ev);

#endif
