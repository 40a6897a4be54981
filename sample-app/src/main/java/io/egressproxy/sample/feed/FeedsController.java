package io.egressproxy.sample.feed;

import java.util.List;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** The feeds as JSON. */
@RestController
final class FeedsController {

    private final FeedReaders readers;

    FeedsController(FeedReaders readers) {
        this.readers = readers;
    }

    @GetMapping("/feeds")
    List<FeedView> feeds() {
        return readers.views();
    }
}
