package io.egressproxy.sample.feed;

import io.egressproxy.sample.page.PagePart;
import java.util.List;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** The feeds as JSON. */
@RestController
final class FeedsController implements PagePart {

    private final FeedReaders readers;

    FeedsController(FeedReaders readers) {
        this.readers = readers;
    }

    @Override
    public String name() {
        return "feeds";
    }

    @Override
    @GetMapping("/feeds")
    public List<FeedView> view() {
        return readers.views();
    }
}
