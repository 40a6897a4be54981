package io.egressproxy.sample.page;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import reactor.test.StepVerifier;

class PageEventsTests {

    private final AtomicInteger looks = new AtomicInteger();
    private final PageEvents page = new PageEvents(List.of(new PagePart() {
        @Override
        public String name() {
            return "part";
        }

        @Override
        public Object view() {
            return looks.incrementAndGet();
        }
    }));

    @Test
    void looksNotAtAllWhileNobodyWatchesAndAgainForTheNextOne() {
        assertThat(looks).hasValue(0);
        page.events().blockFirst(Duration.ofSeconds(5));
        int seen = looks.get();
        assertThat(seen).isPositive();
        StepVerifier.create(page.events().take(2))
                .assertNext(view -> assertThat((Integer) view.get("part")).isGreaterThan(seen))
                .assertNext(view -> assertThat(view).containsKey("time"))
                .expectComplete()
                .verify(Duration.ofSeconds(10));
    }

    /** Otherwise a browser that is left open would keep the application from ending. */
    @Test
    void endsWithTheApplication() {
        StepVerifier.create(page.events())
                .expectNextCount(1)
                .then(page::endAll)
                .expectComplete()
                .verify(Duration.ofSeconds(10));
    }
}
