/* What loss detection and recovery offer the rest of TCP, and one another. Included by tcp.h,
 * behind the connection. */
#ifndef TG_TCP_LOSS_H
#define TG_TCP_LOSS_H

#include "tcp/tcp.h"

/* What one ACK told, gathered on its way through step 5. */
struct loss_ack {
	uint32_t newly_acked, newly_sacked; /* bytes of sequence space */
	uint32_t fresh;                     /* of newly_acked what had not been SACKed before */
	uint32_t newly_lost;
	bool sack_present, dsack;
	bool duplicate; /* a duplicate ACK in the sense of [5681 2] */
	bool repeated;  /* nothing but the same ACK and window again, whatever is outstanding */
	bool has_ts;
	bool reordered; /* something never sent again was delivered below RACK.fack */
	uint32_t tsecr;
	struct seq fack;        /* RACK.fack with this ACK */
	struct seq high_sacked; /* highest number that this ACK SACKed, if newly_sacked */
	struct seq dsack_start, dsack_end;
	struct seq overtaken; /* lowest number delivered late, if reordered */
};

/* tcp_sack.c: the scoreboard. */
void tcp_sack_blocks(struct tcp_conn *c, struct tcp_rx *r, struct loss_ack *a);
/* [6675 4] marks what DupThresh separate ranges, or more than (DupThresh - 1) * SMSS bytes, SACKed
 * above prove lost. */
uint32_t tcp_sack_mark_lost(struct tcp_conn *c); /* bytes newly lost */
/* The first segment at SND.UNA is taken for lost. */
uint32_t tcp_sack_mark_first(struct tg *s, struct tcp_conn *c);
/* What to send again next: the record, or NULL [6675-4]. */
struct tcp_range *tcp_loss_next(struct tg *s, struct tcp_conn *c);

/* tcp_loss.c: the state machine of recovery. */
void tcp_loss_begin_ack(const struct tcp_conn *c, const struct tcp_rx *r, struct loss_ack *a);
void tcp_loss_ack(struct tg *s, struct tcp_conn *c, struct loss_ack *a);
void tcp_loss_timeout(struct tg *s, struct tcp_conn *c, bool first);
/* RACK's reordering timer. */
void tcp_loss_reo_timeout(struct tg *s, struct tcp_conn *c);
/* FlightSize [5681 2] without what limited transmit added [5681-10]. */
uint32_t tcp_flight_size(const struct tcp_conn *c);
/* Congestion events in the trace. */
void tcp_loss_trace(struct tg *s, const struct tcp_conn *c, enum tg_cong what);

/* tcp_rack.c [8985 6] */
static inline bool tcp_rack_on(const struct tg *s, const struct tcp_conn *c)
{
	return (s->cfg.tcp.recovery & TG_RECOVERY_RACK) && c->sack_ok; /* [8985-1, -3] */
}
/* Of r what ends at `end` has been delivered: steps 1 to 3, before its marks change. */
void tcp_rack_delivered(const struct tg *s, struct tcp_conn *c, const struct tcp_range *r,
	struct seq end, struct loss_ack *a);
/* Step 4, for an ACK; leaving: it ended a recovery. */
void tcp_rack_reordering(
	const struct tg *s, struct tcp_conn *c, const struct loss_ack *a, bool leaving);
/* Step 5: marks what is lost, bytes, and notes when the rest has to be looked at again. */
uint32_t tcp_rack_detect(const struct tg *s, struct tcp_conn *c);
/* [8985 6.3] */
void tcp_rack_mark_on_rto(const struct tg *s, struct tcp_conn *c);

/* tcp_tlp.c [8985 7] */
/* When to probe if now is the moment to arm the timer, ns from now; NEVER_NS: do not. */
uint64_t tcp_tlp_pto(const struct tg *s, const struct tcp_conn *c);
/* [8985 7.3] the conditions for sending one at the PTO. */
bool tcp_tlp_may_probe(const struct tg *s, const struct tcp_conn *c);
void tcp_tlp_sent(struct tcp_conn *c, bool again);
/* [8985 7.4] */
void tcp_tlp_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a);

/* tcp_prr.c [9937] */
void tcp_prr_begin(struct tcp_conn *c, const struct loss_ack *a); /* a NULL: by a timer */
void tcp_prr_ack(struct tcp_conn *c, const struct loss_ack *a);
static inline bool tcp_prr_on(const struct tg *s)
{
	return s->cfg.tcp.prr;
}

/* tcp_frto.c [5682], and what undoes a needless reduction [3522, 3708, 4015] */
void tcp_frto_begin(const struct tg *s, struct tcp_conn *c, bool first);
void tcp_frto_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a);
/* New text in the second step: no more than this, bytes. UINT32_MAX: no limit. */
uint32_t tcp_frto_room(const struct tcp_conn *c);
void tcp_undo_begin(struct tcp_conn *c);
void tcp_undo_resent(const struct tg *s, struct tcp_conn *c, const struct tcp_range *r);
void tcp_undo_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a);

#endif
