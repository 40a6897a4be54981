package io.egressproxy.routing;

import java.util.ArrayList;
import java.util.List;

/** Notes for people how a decision comes about; nobody pays for them where nobody wants them. Not thread-safe. */
final class Steps {
    static final Steps NONE = new Steps(false);

    private final boolean wanted;
    private final List<String> list = new ArrayList<>();

    private Steps(boolean wanted) {
        this.wanted = wanted;
    }

    static Steps wanted() {
        return new Steps(true);
    }

    boolean areWanted() {
        return wanted;
    }

    void add(String step) {
        if (wanted) {
            list.add(step);
        }
    }

    List<String> list() {
        return List.copyOf(list);
    }
}
