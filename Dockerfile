# One image for every process: the four services, the worker, beat, and the commands.
#   docker build -t saas .
#   docker run --env-file production.env saas                        # product
#   docker run --env-file production.env saas python manage.py serve webhooks
#   docker run --env-file production.env saas celery -A saas worker
#   docker run --env-file production.env saas python manage.py migrate
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY .ci/image.txt /tmp/image.txt
RUN /venv/bin/pip install --no-deps --require-hashes --only-binary :all: -r /tmp/image.txt

FROM python:${PYTHON}-slim-bookworm
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SAAS_VAR_DIR=/var/lib/saas \
    BIND=0.0.0.0:8000
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin saas \
    && install -d -o saas -g saas /var/lib/saas
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY saas saas
COPY product product
COPY admin_ops admin_ops
COPY parity parity
COPY webhooks webhooks
USER 10001
# Stylesheets and scripts of the pages, gathered once. The settings of tests need no secret and no engine.
RUN SAAS_ENV=test python manage.py collectstatic --noinput --verbosity 0 --settings=saas.settings.admin_ops \
    && rm -rf /var/lib/saas/secrets /var/lib/saas/broker
ENV SAAS_ENV=production
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s --retries=3 CMD ["python", "-m", "saas.healthcheck"]
CMD ["python", "manage.py", "serve", "product"]
