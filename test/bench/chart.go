package main

import (
	"fmt"
	"html"
	"strings"
)

// Measures of the chart, in pixels.
const (
	chartWidth  = 860
	labelWidth  = 380
	barHeight   = 20
	barGap      = 6
	groupGap    = 54
	chartMargin = 16
	valueWidth  = 90
)

// svg draws every group as horizontal bars; ours are in another colour. The
// colours follow the reader's choice of light or dark.
func (r *Report) svg() string {
	var bars strings.Builder
	y := chartMargin
	for _, row := range r.Rows {
		for _, g := range row.Groups {
			y = g.draw(&bars, row, y) + groupGap/2
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" font-family="sans-serif" font-size="12">
<style>
text { fill: #222 } .title { font-weight: bold; font-size: 13px } .bar { fill: #b8bfc8 } .ours { fill: #1f77b4 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .bar { fill: #5b6470 } .ours { fill: #4fa3e0 } }
</style>
%[3]s</svg>
`, chartWidth, y, bars.String())
}

// draw adds a group and returns where the next begins.
func (g *Group) draw(out *strings.Builder, row *Row, y int) int {
	better := "shorter is better"
	if g.Unit == unitRate || g.Unit == unitMiBps {
		better = "longer is better"
	}
	y += groupGap / 2
	fmt.Fprintf(out, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", chartMargin, y,
		html.EscapeString(fmt.Sprintf("%d. %s: %s, %s (%s)", row.ID, row.Title, g.Title, g.Unit, better)))
	y += barGap * 2
	most := 0.0
	for _, r := range g.Results {
		most = max(most, r.main(g.Unit))
	}
	for _, r := range g.Results {
		value, class := r.main(g.Unit), "bar"
		if r.Ours {
			class = "bar ours"
		}
		width := 1.0
		if most > 0 {
			width = max(1, value/most*float64(chartWidth-labelWidth-valueWidth-2*chartMargin))
		}
		middle := y + barHeight*3/4
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", labelWidth, middle, html.EscapeString(clip(r.Name)))
		fmt.Fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", class, labelWidth+barGap, y, width, barHeight)
		fmt.Fprintf(out, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", float64(labelWidth+2*barGap)+width, middle, number(value))
		y += barHeight + barGap
	}
	return y
}

// clip keeps a name within its column.
func clip(name string) string {
	const most = 58
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}
