package main

import "context"

// crowds are how many clients ask at once where throughput is measured.
const (
	fewClients = 8
	maxClients = 64
)

// oneShot: a fresh isolated process, one client.
func (b *bench) oneShot(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	judge, err := b.startGoJudge(ctx)
	if err != nil {
		return err
	}
	runc, err := b.runc()
	if err != nil {
		return err
	}
	list, bare := b.bareContenders(oneLine, oneLineSays)
	for _, kind := range d.kinds() {
		list = append(list, d.ourOneShot(kind))
	}
	list = append(list, judge.contender(), b.bubblewrap(), runc)
	results, err := latency(ctx, list, b.plan.rounds, 1)
	if err != nil {
		return err
	}
	base := fastest(results, bare)
	ours := row.group("latency", unitMS, base.Name, results).find(d.nameOf(""))
	row.atMost("times the fastest bare Python", ours.P50/base.P50, "×", oneShotMust, oneShotStretch)
	row.Notes = append(row.Notes, "Contenders take turns, so that the pool has time to refill between two of ours; row 2 gives it none.")
	return d.stop()
}

// oneShotRate: the same with many clients.
func (b *bench) oneShotRate(ctx context.Context, row *Row) error {
	d, err := b.startDaemon(ctx)
	if err != nil {
		return err
	}
	judge, err := b.startGoJudge(ctx)
	if err != nil {
		return err
	}
	bare, _ := b.bareContenders(oneLine, oneLineSays)
	for _, clients := range []int{fewClients, maxClients} {
		list := []contender{d.ourOneShot(""), judge.contender(), bare[0], b.bubblewrap()}
		results, err := throughput(ctx, list, clients, b.plan.slices, b.plan.slice)
		if err != nil {
			return err
		}
		g := row.group(crowdTitle(clients), unitRate, "go-judge", results)
		if clients == fewClients {
			ours := g.find(d.nameOf(""))
			row.atLeast("one-shots per second", ours.PerSecond, "per second", oneShotRateMust, oneShotRateStretch)
			row.atLeast("times go-judge", ours.Ratio, "×", oneShotGoJudgeMust, oneShotGoJudgeStretch)
		}
	}
	return d.stop()
}
