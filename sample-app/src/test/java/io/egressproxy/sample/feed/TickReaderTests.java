package io.egressproxy.sample.feed;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TickReaderTests {

    private final TickReader reader = new TickReader();

    @Test
    void readsTheLocalExchange() {
        Tick tick = reader.read(
                "{\"symbol\":\"BTC-USDT\",\"price\":\"64000.10\",\"seenFrom\":\"proxy \\\"http-local\\\"\"}");

        assertThat(tick).isEqualTo(new Tick("BTC-USDT", "64000.10", "proxy \"http-local\"", null));
        assertThat(tick.text()).isEqualTo("BTC-USDT 64000.10");
    }

    @Test
    void readsAPriceWithoutTheRest() {
        Tick tick = reader.read("{\"price\":64000.5,\"symbol\":null}");

        assertThat(tick).isEqualTo(new Tick(null, "64000.5", null, null));
        assertThat(tick.text()).isEqualTo("64000.5");
    }

    @Test
    void keepsTheBeginningOfEverythingElse() {
        assertThat(reader.read("{\"c\":\"64000\",\n\"price\":{}}").text()).isEqualTo("{\"c\":\"64000\", \"price\":{}}");
        assertThat(reader.read("<html>").raw()).isEqualTo("<html>");
        assertThat(reader.read("[1]").raw()).isEqualTo("[1]");
        assertThat(reader.read("").raw()).isEmpty();
        assertThat(reader.read("x".repeat(121)).raw()).isEqualTo("x".repeat(119) + "…");
        assertThat(reader.read("x".repeat(120)).raw()).isEqualTo("x".repeat(120));
    }
}
