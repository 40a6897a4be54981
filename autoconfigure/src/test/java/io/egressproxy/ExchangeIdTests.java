package io.egressproxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExchangeIdTests {
    @ParameterizedTest
    @ValueSource(
            strings = {"BINANCE_FUTURES", "binance-futures", "binanceFutures", "Binance.Futures", "binance:futures"})
    void caseAndPunctuationDoNotCount(String spelling) {
        assertThat(ExchangeId.of(spelling))
                .isEqualTo(ExchangeId.of("binance_futures"))
                .hasSameHashCodeAs(ExchangeId.of("binance_futures"))
                .hasToString(spelling);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "-", "_._", "a b", "a/b", "ä", "*"})
    void whatIsNoIdIsRefused(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ExchangeId.of(text))
                .withMessageContaining("1 to 64 letters, digits");
    }

    @Test
    void sixtyFourCharactersAreTheLimit() {
        assertThat(ExchangeId.of("x".repeat(64))).hasToString("x".repeat(64));
        assertThatIllegalArgumentException().isThrownBy(() -> ExchangeId.of("x".repeat(65)));
    }

    @Test
    void noWrittenIdIsTheOneOfUnmatchedHosts() {
        assertThat(ExchangeId.UNMATCHED).isNotEqualTo(ExchangeId.DEFAULT).isNotEqualTo(ExchangeId.of("a"));
    }
}
