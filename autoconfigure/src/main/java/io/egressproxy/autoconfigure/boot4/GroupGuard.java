package io.egressproxy.autoconfigure.boot4;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.ExecutableMode;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.aot.hint.TypeReference;
import org.springframework.beans.factory.FactoryBean;
import org.springframework.boot.context.properties.bind.BindableRuntimeHintsRegistrar;
import org.springframework.core.Ordered;
import org.springframework.util.ClassUtils;
import org.springframework.util.ReflectionUtils;

/**
 * Looks at each client of the groups of HTTP interfaces when everybody else has configured it: Spring's own default where a module of Spring Boot is
 * missing, or what the application's own configurer has put in. By names and proxies, since the interfaces are of Spring Framework 7.
 */
final class GroupGuard implements FactoryBean<Object> {
    static final String OF_REST_CLIENTS = "org.springframework.web.client.support.RestClientHttpServiceGroupConfigurer";
    static final String OF_WEB_CLIENTS =
            "org.springframework.web.reactive.function.client.support.WebClientHttpServiceGroupConfigurer";
    private static final String REGISTRY = "org.springframework.web.service.registry.HttpServiceGroupConfigurer";
    private static final String GROUPS = REGISTRY + "$Groups";
    private static final String CALLBACK = REGISTRY + "$ClientCallback";

    private final Class<?> configurer;
    private final Supplier<Consumer<Object>> look;

    /**
     * A guard for one kind of client.
     *
     * @param configurer {@link #OF_REST_CLIENTS} or {@link #OF_WEB_CLIENTS}
     * @param look gives what is shown the builder of each client; not before there are any, since a factory may be made early, for its type
     */
    GroupGuard(String configurer, Supplier<Consumer<Object>> look) {
        this.configurer = type(configurer);
        this.look = look;
    }

    private static Class<?> type(String name) {
        return ClassUtils.resolveClassName(name, GroupGuard.class.getClassLoader());
    }

    private static Method forEachClient() {
        return Objects.requireNonNull(ReflectionUtils.findMethod(type(GROUPS), "forEachClient", type(CALLBACK)));
    }

    @Override
    public Class<?> getObjectType() {
        return configurer;
    }

    @Override
    public Object getObject() {
        return proxy(configurer, (method, arguments) -> switch (method) {
            case "configureGroups" -> configure(arguments[0]);
            case "getOrder" -> Ordered.LOWEST_PRECEDENCE;
            default -> null;
        });
    }

    private @Nullable Object configure(Object groups) {
        Consumer<Object> each = look.get();
        Object callback = proxy(type(CALLBACK), (method, arguments) -> {
            if (method.equals("withClient")) {
                each.accept(arguments[1]); // the first one is the group
            }
            return null;
        });
        return ReflectionUtils.invokeMethod(forEachClient(), groups, callback);
    }

    /** What answers to the methods of an interface that is not known here. */
    private interface Answers {
        @Nullable
        Object to(String method, Object[] arguments);
    }

    private static Object proxy(Class<?> type, Answers answers) {
        InvocationHandler handler = (self, method, arguments) -> switch (method.getName()) {
            case "equals" -> self == arguments[0];
            case "hashCode" -> System.identityHashCode(self);
            case "toString" -> GroupGuard.class.getSimpleName();
            default -> answers.to(method.getName(), arguments);
        };
        return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler);
    }

    /** So that a native image finds it all. */
    static final class Hints implements RuntimeHintsRegistrar {
        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            if (ClassUtils.isPresent(REGISTRY, classLoader)) {
                BindableRuntimeHintsRegistrar.forTypes(Boot4HttpClientAutoConfiguration.GroupSettings.class)
                        .registerHints(hints);
                hints.reflection().registerMethod(forEachClient(), ExecutableMode.INVOKE);
                for (String proxied : new String[] {OF_REST_CLIENTS, OF_WEB_CLIENTS, CALLBACK}) {
                    hints.reflection().registerType(TypeReference.of(proxied));
                    hints.proxies().registerJdkProxy(TypeReference.of(proxied));
                }
            }
        }
    }
}
