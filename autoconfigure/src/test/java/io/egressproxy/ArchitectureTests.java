package io.egressproxy;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.Architectures;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.NullMarked;

/** The house rules: imports run one way, Spring Boot stays in the glue, nothing is null by accident. */
@AnalyzeClasses(packages = "io.egressproxy", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTests {
    private static final String BOOT = "org.springframework.boot..";

    @ArchTest
    static final ArchRule importsRunOneWay = Architectures.layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("io.egressproxy..")
            .layer("domain")
            .definedBy("io.egressproxy")
            .layer("settings")
            .definedBy("io.egressproxy.settings..")
            .optionalLayer("pool")
            .definedBy("io.egressproxy.pool..")
            .optionalLayer("service")
            .definedBy("io.egressproxy.service..")
            .layer("routing")
            .definedBy("io.egressproxy.routing..")
            .layer("netty")
            .definedBy("io.egressproxy.netty..")
            .optionalLayer("observability")
            .definedBy("io.egressproxy.observability..")
            .optionalLayer("actuate")
            .definedBy("io.egressproxy.actuate..")
            .layer("autoconfigure")
            .definedBy("io.egressproxy.autoconfigure..")
            .whereLayer("domain")
            .mayNotAccessAnyLayer()
            .whereLayer("settings")
            .mayOnlyAccessLayers("domain")
            .whereLayer("pool")
            .mayOnlyAccessLayers("domain", "settings")
            .whereLayer("service")
            .mayOnlyAccessLayers("domain", "settings")
            .whereLayer("routing")
            .mayOnlyAccessLayers("domain", "settings", "pool", "service")
            .whereLayer("netty")
            .mayOnlyAccessLayers("domain", "routing")
            .whereLayer("observability")
            .mayOnlyAccessLayers("domain", "pool")
            .whereLayer("autoconfigure")
            .mayNotBeAccessedByAnyLayer();

    @ArchTest
    static final ArchRule packagesAreFreeOfCycles =
            slices().matching("io.egressproxy.(*)..").should().beFreeOfCycles();

    @ArchTest
    static final ArchRule springBootStaysInTheGlue = noClasses()
            .that()
            .resideOutsideOfPackages(
                    "io.egressproxy.settings..", "io.egressproxy.actuate..", "io.egressproxy.autoconfigure..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage(BOOT);

    /** Table A.1 of the ecosystem research: these packages moved in Spring Boot 4. */
    @ArchTest
    static final ArchRule typesThatMovedAreNamedInTheirGenerationsPackageOnly = noClasses()
            .that()
            .resideOutsideOfPackages("io.egressproxy.autoconfigure.boot3..", "io.egressproxy.autoconfigure.boot4..")
            .should()
            .dependOnClassesThat(resideInAnyPackage(
                            "org.springframework.boot.autoconfigure.http..",
                            "org.springframework.boot.http.client.autoconfigure..",
                            "org.springframework.boot.web..",
                            "org.springframework.boot.webclient..",
                            "org.springframework.boot.restclient..",
                            "org.springframework.boot.actuate.health..",
                            "org.springframework.boot.actuate.autoconfigure.health..",
                            "org.springframework.boot.actuate.autoconfigure.metrics..",
                            "org.springframework.boot.actuate.autoconfigure.observation..",
                            "org.springframework.boot.autoconfigure.cache..",
                            "org.springframework.boot.autoconfigure.jackson..",
                            "org.springframework.boot.health..",
                            "org.springframework.boot.bootstrap..",
                            "org.springframework.boot.env..")
                    .or(nameMatching("org[.]springframework[.]boot[.][A-Za-z]*Bootstrap.*"))
                    .or(nameMatching("org[.]springframework[.]boot[.]http[.]client[.].*(Settings|Redirects)")));

    /** One generation's glue never reaches for the other's types, nor does either hold anything else. */
    @ArchTest
    static final ArchRule theGlueOfOneGenerationKnowsNothingOfTheOther = noClasses()
            .that()
            .resideInAPackage("io.egressproxy.autoconfigure.boot4..")
            .should()
            .dependOnClassesThat(resideInAnyPackage(
                            "io.egressproxy.autoconfigure.boot3..",
                            "org.springframework.boot.autoconfigure.http..",
                            "org.springframework.boot.web..",
                            "org.springframework.boot.actuate..")
                    .or(nameMatching("org[.]springframework[.]boot[.]http[.]client[.].*ClientHttp.*Settings")));

    @ArchTest
    static final ArchRule norDoesThatOfTheFirstKnowTheSecond = noClasses()
            .that()
            .resideInAPackage("io.egressproxy.autoconfigure.boot3..")
            .should()
            .dependOnClassesThat(resideInAnyPackage(
                    "io.egressproxy.autoconfigure.boot4..",
                    "org.springframework.boot.http.client.autoconfigure..",
                    "org.springframework.boot.webclient..",
                    "org.springframework.boot.restclient..",
                    "org.springframework.boot.health.."));

    /** A call with null for such a type names it as well, in the bytes that are linked. */
    @ArchTest
    static final ArchRule nothingIsCalledThatTakesATypeThatMoved = noClasses()
            .should()
            .callCodeUnitWhere(describe(
                    "an argument is of a type that moved",
                    call -> call.getTarget().getRawParameterTypes().stream().anyMatch(type -> type.getName()
                            .matches("org[.]springframework[.]boot[.][A-Za-z]*Bootstrap.*"))));

    /** Types of the same name that mean something else in Spring Boot 4, or are gone; and Jackson 2, which is not there. */
    @ArchTest
    static final ArchRule whatChangedItsMeaningIsNotUsed = noClasses()
            .should()
            .dependOnClassesThat(resideInAnyPackage("com.fasterxml.jackson.databind..", "com.fasterxml.jackson.core..")
                    .or(nameMatching("org[.]springframework[.]boot[.](context[.]properties[.]PropertyMapper"
                            + "|(env[.])?EnvironmentPostProcessor)")));

    @ArchTest
    static final ArchRule theDomainKnowsNoFrameworkButTheOneItRoutes = classes()
            .that(resideInAPackage("io.egressproxy"))
            .should()
            .onlyDependOnClassesThat(resideInAnyPackage(
                    "java..",
                    "org.jspecify..",
                    "reactor..",
                    "io.netty..",
                    "org.springframework.web.reactive..",
                    "io.egressproxy"));

    @ArchTest
    static final ArchRule nobodyPrints = noClasses()
            .should()
            .accessField(System.class, "out")
            .orShould()
            .accessField(System.class, "err")
            .orShould()
            .callMethod(Throwable.class, "printStackTrace");

    @ArchTest
    static final ArchRule nothingBlocks = noClasses()
            .should()
            .callMethod(Thread.class, "sleep", long.class)
            .orShould()
            .callMethodWhere(target(nameMatching("block|blockFirst|blockLast|blockOptional")));

    @ArchTest
    static void everyPackageIsNullMarked(JavaClasses classes) {
        Set<String> packages = classes.stream().map(JavaClass::getPackageName).collect(Collectors.toSet());
        assertThat(packages)
                .allSatisfy(name -> assertThat(classes.getPackage(name).isAnnotatedWith(NullMarked.class))
                        .as(name)
                        .isTrue());
    }
}
