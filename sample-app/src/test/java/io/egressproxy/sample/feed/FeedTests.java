package io.egressproxy.sample.feed;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.sample.feed.FeedView.State;
import java.io.IOException;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

@ExtendWith(OutputCaptureExtension.class)
class FeedTests {

    private static final Instant START = Instant.parse("2026-11-21T00:00:00Z");

    private Instant now = START;
    private final Feed feed =
            new Feed("binance", ConnectionType.HTTP, URI.create("http://api.binance.test:1"), new Clock() {
                @Override
                public Instant instant() {
                    return now;
                }

                @Override
                public ZoneOffset getZone() {
                    return ZoneOffset.UTC;
                }

                @Override
                public Clock withZone(java.time.ZoneId zone) {
                    return this;
                }
            });

    private static Tick tick(String seenFrom) {
        return new Tick("BTC-USDT", "64000.12", seenFrom, null);
    }

    private void pass(int seconds) {
        now = now.plus(Duration.ofSeconds(seconds));
    }

    @Test
    void saysOnlyWhatChanges(CapturedOutput output) {
        feed.ticked(tick("proxy \"a\""));
        feed.ticked(tick("proxy \"a\""));
        feed.ticked(tick("proxy \"b\""));
        feed.failed(new IOException("first"));
        feed.failed(new IOException("second"));
        pass(7);
        feed.ticked(tick("proxy \"b\""));

        assertThat(output.getOut()
                        .lines()
                        .filter(line -> line.contains("binance   http"))
                        .toList())
                .hasSize(4)
                .satisfiesExactly(
                        line -> assertThat(line).endsWith("binance   http      ok, via proxy \"a\""),
                        line -> assertThat(line)
                                .endsWith("binance   http      now via proxy \"b\" (before: proxy \"a\")"),
                        line -> assertThat(line).endsWith("binance   http      FAILING: first"),
                        line -> assertThat(line).endsWith("binance   http      ok again after 7 s, via proxy \"b\""));
    }

    @Test
    void keepsTheLastTickAndTheLastError() {
        feed.ticked(tick("proxy \"a\""));
        pass(3);
        feed.failed(new IOException("first"));
        feed.failed(new IOException("second"));
        pass(2);

        assertThat(feed.view())
                .isEqualTo(new FeedView(
                        "binance",
                        ConnectionType.HTTP,
                        "api.binance.test",
                        1,
                        "BTC-USDT",
                        "64000.12",
                        "proxy \"a\"",
                        null,
                        1,
                        START,
                        State.FAILING,
                        START.plusSeconds(3),
                        "second"));
        assertThat(feed.line()).isEqualTo("binance   http      FAILING for 2 s: second");
    }

    @Test
    void reportsOneLine() {
        assertThat(feed.line()).isEqualTo("binance   http      no tick yet");

        feed.ticked(tick("proxy \"a\""));
        assertThat(feed.line()).isEqualTo("binance   http      BTC-USDT 64000.12  via proxy \"a\"");

        feed.ticked(new Tick(null, null, null, "{}"));
        assertThat(feed.line()).isEqualTo("binance   http      {}  (the target does not say via whom)");
    }

    @Test
    void hasSomethingToSayAboutAFailureWithoutAMessage() {
        feed.failed(new IOException());

        assertThat(feed.view().lastError()).isEqualTo("java.io.IOException");
    }
}
