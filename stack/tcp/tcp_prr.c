/* Proportional rate reduction (RFC 9937): in recovery cwnd follows what is delivered, so that the
 * flight shrinks evenly to ssthresh and no more than that, instead of a pause and a burst. */
#include "tcp/tcp.h"

void tcp_prr_begin(struct tcp_conn *c, const struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;

	x->prr_delivered = 0;
	x->prr_out = 0;
	x->prr_dup_bytes = 0;
	/* [9937 6] RecoverFS: what this recovery can deliver, with what the ACK that began it did
	 */
	x->prr_recover_fs = seq_dist(c->snd.nxt, c->snd.una) - x->sacked_bytes;
	if (a)
		x->prr_recover_fs += a->newly_sacked + a->fresh;
	x->prr_recover_fs = max_u32(x->prr_recover_fs, 1);
	/* [9937 6] the fast retransmit itself; with an ACK tcp_prr_ack computes cwnd anew */
	c->cc.cwnd = tcp_pipe(c) + c->cc.mss;
}

/* [9937 6] DeliveredData, bytes. Without SACK a duplicate stands for a segment, and what was
 * counted so is taken off when it is acknowledged. */
static uint32_t delivered_data(struct tcp_conn *c, const struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;
	uint32_t counted;

	if (c->sack_ok)
		return a->fresh + a->newly_sacked;
	if (a->duplicate) {
		x->prr_dup_bytes += c->cc.mss;
		return c->cc.mss;
	}
	counted = min_u32(x->prr_dup_bytes, a->fresh);
	x->prr_dup_bytes -= counted;
	return a->fresh - counted;
}

void tcp_prr_ack(struct tcp_conn *c, const struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;
	uint32_t ssthresh = c->cc.ssthresh, inflight = tcp_pipe(c);
	uint32_t delivered = delivered_data(c, a), send;

	if (delivered == 0)
		return;
	x->prr_delivered += delivered;
	if (inflight > ssthresh) {
		/* [9937 6] in proportion, rounded up */
		uint64_t share = ((uint64_t)x->prr_delivered * ssthresh + x->prr_recover_fs - 1) /
				 x->prr_recover_fs;

		send = share > x->prr_out ? (uint32_t)min_u64(share - x->prr_out, UINT32_MAX / 4)
					  : 0;
	} else {
		/* [9937 6] conservative bound; a segment more when all goes well */
		send = x->prr_delivered > x->prr_out ? x->prr_delivered - x->prr_out : 0;
		send = max_u32(send, delivered);
		if (a->newly_acked && !a->newly_lost) /* SafeACK */
			send += c->cc.mss;
		send = min_u32(send, ssthresh - inflight);
	}
	if (x->prr_out == 0)
		send = max_u32(send, c->cc.mss); /* the fast retransmit goes in any case */
	c->cc.cwnd = max_u32(inflight + send, c->cc.mss);
}
