package inventory

import (
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		text            string
		n               int
		atLeast, budget int
	}{
		{"3", 10, 3, 3}, {"3", 2, 2, 3}, {"0", 10, 1, 0}, {"0%", 10, 1, 0}, {"3", 0, 0, 3},
		{"5%", 10, 1, 1}, {"5%", 100, 5, 5}, {"5%", 101, 6, 5}, {"5%", 19, 1, 1}, {"5%", 0, 0, 0},
		{"100%", 7, 7, 7}, {"90%", 9, 9, 8}, {"90%", 10, 9, 9}, {"0.5%", 1000, 5, 5}, {"0.5%", 1001, 6, 5},
		{"33.33%", 3, 1, 1}, {"33.34%", 3, 2, 1}, {"1%", 10_000, 100, 100}, {"1", -5, 0, 1},
	} {
		a, err := ParseAmount(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.AtLeast(c.n); got != c.atLeast {
			t.Errorf("%s of %d: AtLeast %d, want %d", c.text, c.n, got, c.atLeast)
		}
		if got := a.Budget(c.n); got != c.budget {
			t.Errorf("%s of %d: Budget %d, want %d", c.text, c.n, got, c.budget)
		}
	}
	for _, bad := range []string{"", "%", "-1", "+1", "1.5", "5 %", "101%", "100.01%", "1e3", "0x1", "5%%", ".5%", "5.%", "5.123%", "99999999", "1000001", "٣"} {
		if a, err := ParseAmount(bad); err == nil {
			t.Errorf("%q is %v", bad, a)
		}
	}
}

// anyAmount draws amounts of both kinds.
func anyAmount() *rapid.Generator[Amount] {
	return rapid.Custom(func(t *rapid.T) Amount {
		if rapid.Bool().Draw(t, "percent") {
			return Amount{n: rapid.IntRange(0, 10_000).Draw(t, "hundredths"), percent: true}
		}
		return Count(rapid.IntRange(0, maxCount).Draw(t, "count"))
	})
}

// TestAmountLaws holds the rounding to exact arithmetic: waves and quorum up and
// at least 1, budgets down but at least 1 above 0, both never falling when the
// number of hosts grows.
func TestAmountLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAmount().Draw(t, "amount")
		n := rapid.IntRange(1, 1_000_000_000).Draw(t, "hosts")
		if back, err := ParseAmount(a.String()); err != nil || back != a {
			t.Fatalf("%v is read back as %v: %v", a, back, err)
		}
		up, down := a.AtLeast(n), a.Budget(n)
		if up < 1 || up > n {
			t.Fatalf("%v of %d: AtLeast %d", a, n, up)
		}
		if a.IsZero() != (down == 0) {
			t.Fatalf("%v of %d: Budget %d", a, n, down)
		}
		if a.AtLeast(n+1) < up || a.Budget(n+1) < down {
			t.Fatalf("%v falls from %d to %d hosts", a, n, n+1)
		}
		if !a.IsPercent() {
			if down != a.n || up != min(max(a.n, 1), n) {
				t.Fatalf("count %v of %d: %d, %d", a, n, up, down)
			}
			return
		}
		exact := big.NewRat(int64(a.n)*int64(n), 10_000)
		ceil := new(big.Rat).SetInt64(int64(up))
		floor := new(big.Rat).SetInt64(int64(down))
		one := big.NewRat(1, 1)
		if up > 1 && (ceil.Cmp(exact) < 0 || new(big.Rat).Sub(ceil, exact).Cmp(one) >= 0) {
			t.Fatalf("%v of %d: AtLeast %d is not %v rounded up", a, n, up, exact)
		}
		if up == 1 && exact.Cmp(one) > 0 {
			t.Fatalf("%v of %d: AtLeast 1 of %v", a, n, exact)
		}
		if down > 1 && (floor.Cmp(exact) > 0 || new(big.Rat).Sub(exact, floor).Cmp(one) >= 0) {
			t.Fatalf("%v of %d: Budget %d is not %v rounded down", a, n, down, exact)
		}
		if down == 1 && exact.Cmp(big.NewRat(2, 1)) >= 0 {
			t.Fatalf("%v of %d: Budget 1 of %v", a, n, exact)
		}
	})
}

func TestAmountJSON(t *testing.T) {
	in := []Amount{Count(3), {n: 550, percent: true}}
	data, err := json.Marshal(in)
	if err != nil || string(data) != `["3","5.5%"]` {
		t.Fatalf("%s: %v", data, err)
	}
	var out []Amount
	if err := json.Unmarshal(data, &out); err != nil || out[0] != in[0] || out[1] != in[1] {
		t.Fatalf("%v: %v", out, err)
	}
}

func FuzzAmount(f *testing.F) {
	for _, s := range []string{"3", "5%", "0.5%", "100%", "-1", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAmount(s)
		if err != nil {
			return
		}
		if back, err := ParseAmount(a.String()); err != nil || back != a {
			t.Errorf("%q is %v, read back as %v: %v", s, a, back, err)
		}
	})
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]Rate{
		"0": 0, "0MB/s": 0, "50MB/s": 50e6, "1.5MiB/s": 3 << 19, "10kB/s": 10_000, "10KB/s": 10_000, "7B/s": 7, "7/s": 7, "2 GB/s": 2e9, "1gib/s": 1 << 30,
	} {
		got, err := ParseRate(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
		if back, err := ParseRate(got.String()); err != nil || back != got {
			t.Errorf("%q is written %q: %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "50MB", "MB/s", "-1MB/s", "1e9/s", "50Mbit/s", "inf/s", "0.0001B/s", "99999999999TB/s", "/s", "5", "5MB/sec"} {
		if r, err := ParseRate(bad); err == nil {
			t.Errorf("%q is %v", bad, r)
		}
	}
	for text, want := range map[string]Bytes{"0": 0, "1500": 1500, "10MB": 10e6, "1.5GiB": 3 << 29, "1TB": 1e12} {
		got, err := ParseBytes(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
		if back, err := ParseBytes(got.String()); err != nil || back != got {
			t.Errorf("%q is written %q: %v", text, got, err)
		}
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "7d": 7 * day, "1d12h": 36 * time.Hour, "0d": 0, "250ms": 250 * time.Millisecond,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
		if back, err := ParseDuration(FormatDuration(got)); err != nil || back != got {
			t.Errorf("%q is written %q: %v", text, FormatDuration(got), err)
		}
	}
	for _, bad := range []string{"", "10", "-1s", "+1s", "1w", "1d-1h", "d", "1.5d", "1dd", "999999d", "36500d1h", "9999999h", "1d 2h"} {
		if d, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is %v", bad, d)
		}
	}
	for d, want := range map[time.Duration]string{10 * time.Minute: "10m", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 0: "0s", 90 * time.Second: "1m30s"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"50MB/s", "0", "1.5GiB", "1d12h", "90s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRate(s); err == nil {
			if back, err := ParseRate(r.String()); r < 0 || err != nil || back != r {
				t.Errorf("rate %q is %d, read back as %d: %v", s, r, back, err)
			}
		}
		if d, err := ParseDuration(s); err == nil {
			if back, err := ParseDuration(FormatDuration(d)); d < 0 || d > maxDuration || err != nil || back != d {
				t.Errorf("duration %q is %v, read back as %v: %v", s, d, back, err)
			}
		}
	})
}
